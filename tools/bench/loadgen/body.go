package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"time"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	maxBodyTime = 5 * time.Minute
	// More than every buffer on the way together can hold.
	afterStallBytes = 256 << 20
)

// Download reads Count bodies one after the other and checks length and checksum of each.
func download(spec Spec, session *Session) (map[string]any, error) {
	return transfer(spec, session, func(target *Target, conn *Conn) error {
		crc := uint32(0)
		n, err := conn.get(target.request("GET", spec.Path, ""), func(b []byte) {
			crc = crc32.Update(crc, castagnoli, b)
		})
		if err != nil {
			return err
		}
		return check(n, crc, spec.Bytes, spec.CRC)
	})
}

// Upload sends Count bodies; the origin answers with what it received.
func upload(spec Spec, session *Session) (map[string]any, error) {
	block := noise(4 << 20)
	return transfer(spec, session, func(target *Target, conn *Conn) error {
		more := fmt.Sprintf("Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", spec.Bytes)
		if _, err := conn.Write(target.request("PUT", spec.Path, more)); err != nil {
			return err
		}
		crc := uint32(0)
		for left := spec.Bytes; left > 0; {
			piece := block[:min(left, int64(len(block)))]
			crc = crc32.Update(crc, castagnoli, piece)
			if _, err := conn.Write(piece); err != nil {
				return err
			}
			left -= int64(len(piece))
		}
		var answer []byte
		head, err := conn.readHead()
		if err != nil {
			return err
		}
		if _, err := conn.readBody(head, func(b []byte) { answer = append(answer, b...) }); err != nil {
			return err
		}
		var received struct {
			Bytes int64  `json:"bytes"`
			CRC   uint32 `json:"crc"`
		}
		if err := json.Unmarshal(answer, &received); err != nil || head.status != 200 {
			return fmt.Errorf("the upload was answered with %d: %.300s", head.status, answer)
		}
		return check(received.Bytes, received.CRC, spec.Bytes, crc)
	})
}

func transfer(spec Spec, session *Session, one func(*Target, *Conn) error) (map[string]any, error) {
	target, err := newTarget(spec)
	if err != nil {
		return nil, err
	}
	conn, err := target.dial()
	if err != nil {
		return nil, err
	}
	session.ready(map[string]any{})
	count := max(spec.Count, 1)
	startedAt := time.Now()
	for range count {
		conn.SetDeadline(time.Now().Add(maxBodyTime))
		if err := one(target, conn); err != nil {
			return nil, err
		}
	}
	seconds := time.Since(startedAt).Seconds()
	total := float64(spec.Bytes) * float64(count)
	return map[string]any{"seconds": seconds, "bytes": total, "mbps": total / 1e6 / seconds}, nil
}

func check(bytes int64, crc uint32, wantBytes int64, wantCRC uint32) error {
	if bytes != wantBytes || crc != wantCRC {
		return fmt.Errorf("the body arrived damaged: %d bytes with checksum %08x instead of %d with %08x",
			bytes, crc, wantBytes, wantCRC)
	}
	return nil
}

// Stall reads an answer's head and then nothing, until it is told to go on; then the body must still come.
func stall(spec Spec, session *Session) (map[string]any, error) {
	target, err := newTarget(spec)
	if err != nil {
		return nil, err
	}
	conn, err := target.dial()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(target.request("GET", spec.Path, "")); err != nil {
		return nil, err
	}
	head, err := conn.readHead()
	if err != nil || head.status != 200 {
		return nil, fmt.Errorf("answered with %d (%v)", head.status, err)
	}
	session.ready(map[string]any{})
	conn.SetDeadline(time.Now().Add(dialTimeout))
	if err := conn.readExactly(min(spec.Bytes, afterStallBytes), func([]byte) {}); err != nil {
		return nil, fmt.Errorf("the stalled body was given up on: %w", err)
	}
	return map[string]any{}, conn.Close()
}

// FillFile writes bytes that do not compress and are the same at each call.
func fillFile(spec Spec, _ *Session) (map[string]any, error) {
	file, err := os.Create(spec.File)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	source := rand.NewChaCha8([32]byte{1})
	block := make([]byte, 1<<20)
	crc := uint32(0)
	for left := spec.Bytes; left > 0; {
		piece := block[:min(left, int64(len(block)))]
		source.Read(piece)
		crc = crc32.Update(crc, castagnoli, piece)
		if _, err := file.Write(piece); err != nil {
			return nil, err
		}
		left -= int64(len(piece))
	}
	return map[string]any{"crc": crc}, file.Sync()
}

func noise(size int) []byte {
	block := make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(block)
	return block
}

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

const (
	stdoutChannel = 1
	statusChannel = 3
)

// ExecCommands runs the command Count times over WebSocket (v5.channel.k8s.io), a new connection each, as kubectl
// does. It says how long it took until the first byte of output (connecting included) and until the end.
func execCommands(spec Spec, session *Session) (map[string]any, error) {
	target, err := newTarget(spec)
	if err != nil {
		return nil, err
	}
	// Once for nothing: pools and code paths are warm from here on.
	if _, err := execOnce(target, spec); err != nil {
		return nil, err
	}
	session.ready(map[string]any{})
	var opens []time.Duration
	var total int64
	var streaming time.Duration
	for range max(spec.Count, 1) {
		run, err := execOnce(target, spec)
		if err != nil {
			return nil, err
		}
		if spec.Bytes > 0 && run.bytes != spec.Bytes {
			return nil, fmt.Errorf("%d bytes of output came instead of %d", run.bytes, spec.Bytes)
		}
		opens = append(opens, run.open)
		total += run.bytes
		streaming += run.streaming
	}
	result := percentiles(opens)
	result["seconds"] = streaming.Seconds()
	result["bytes"] = total
	result["mbps"] = float64(total) / 1e6 / max(streaming.Seconds(), 1e-9)
	return result, nil
}

type execRun struct {
	open, streaming time.Duration
	bytes           int64
}

func execOnce(target *Target, spec Spec) (execRun, error) {
	var run execRun
	startedAt := time.Now()
	conn, err := target.dial()
	if err != nil {
		return run, err
	}
	defer conn.Close()
	conn.SetDeadline(startedAt.Add(maxBodyTime))
	nonce := make([]byte, 16)
	rand.Read(nonce)
	request := target.request("GET", spec.Path, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Protocol: v5.channel.k8s.io\r\nSec-WebSocket-Key: "+base64.StdEncoding.EncodeToString(nonce)+"\r\n")
	if _, err := conn.Write(request); err != nil {
		return run, err
	}
	head, err := conn.readHead()
	if err != nil {
		return run, err
	}
	if head.status != 101 {
		var text []byte
		conn.readBody(head, func(b []byte) { text = append(text, b...) })
		return run, fmt.Errorf("exec was answered with %d: %.300s", head.status, text)
	}
	messages := messageReader{in: conn.in}
	var status []byte
	for {
		size, err := messages.next()
		if err == io.EOF {
			run.streaming = time.Since(startedAt) - run.open
			if !bytes.Contains(status, []byte(`"Success"`)) {
				return run, fmt.Errorf("the command did not succeed: %.300s", status)
			}
			return run, nil
		}
		if err != nil {
			return run, err
		}
		if messages.channel == statusChannel {
			piece := make([]byte, size)
			if _, err := io.ReadFull(conn.in, piece); err != nil {
				return run, err
			}
			status = append(status, piece...)
			continue
		}
		if messages.channel == stdoutChannel && size > 0 {
			if run.bytes == 0 {
				run.open = time.Since(startedAt)
			}
			run.bytes += size
		}
		if _, err := conn.in.Discard(int(size)); err != nil {
			return run, err
		}
	}
}

// MessageReader reads frame headers (RFC 6455 §5.2); what servers send is not masked.
type messageReader struct {
	in      *bufio.Reader
	channel byte
}

// Next says how many payload bytes of the channel follow; io.EOF once the server closed in good order.
func (r *messageReader) next() (int64, error) {
	for {
		opcode, length, err := r.header()
		if err != nil {
			return 0, err
		}
		switch {
		case opcode == 8:
			return 0, io.EOF
		case opcode == 0:
			return length, nil
		case opcode > 8 || length == 0:
			if _, err := r.in.Discard(int(length)); err != nil {
				return 0, err
			}
		default:
			r.channel, err = r.in.ReadByte()
			return length - 1, err
		}
	}
}

func (r *messageReader) header() (opcode byte, length int64, err error) {
	var header [8]byte
	if _, err = io.ReadFull(r.in, header[:2]); err != nil {
		return 0, 0, err
	}
	opcode, length = header[0]&0xf, int64(header[1]&0x7f)
	switch length {
	case 126:
		_, err = io.ReadFull(r.in, header[:2])
		length = int64(binary.BigEndian.Uint16(header[:2]))
	case 127:
		_, err = io.ReadFull(r.in, header[:8])
		length = int64(binary.BigEndian.Uint64(header[:8]))
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return opcode, length, err
}

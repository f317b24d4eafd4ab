package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const dialsAtOnce = 32

// Watch holds many streams open; each event carries the origin's clock, which is ours too.
func watch(spec Spec, session *Session) (map[string]any, error) {
	target, err := newTarget(spec)
	if err != nil {
		return nil, err
	}
	conns, err := openWatches(target, target.request("GET", spec.Path, ""), spec.Count)
	if err != nil {
		return nil, err
	}
	var measuring atomic.Bool
	each := make([][]time.Duration, len(conns))
	failures := make(chan error, len(conns))
	var group sync.WaitGroup
	for i, conn := range conns {
		group.Add(1)
		go func() {
			defer group.Done()
			var err error
			each[i], err = readEvents(conn, &measuring)
			if err != nil {
				failures <- err
			}
		}()
	}
	session.ready(map[string]any{})
	measuring.Store(true)
	select {
	case <-time.After(durationOf(spec.DurationMs)):
	case err := <-failures:
		return nil, fmt.Errorf("a watch ended early: %w", err)
	}
	measuring.Store(false)
	for _, conn := range conns {
		conn.SetReadDeadline(time.Now())
	}
	group.Wait()
	delays := slices.Concat(each...)
	result := percentiles(delays)
	result["events"] = len(delays)
	result["seconds"] = spec.DurationMs / 1000
	return result, nil
}

func openWatches(target *Target, request []byte, count int) ([]*Conn, error) {
	conns := make([]*Conn, count)
	failures := make([]error, count)
	slots := make(chan struct{}, dialsAtOnce)
	var group sync.WaitGroup
	for i := range conns {
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; group.Done() }()
			conns[i], failures[i] = openWatch(target, request)
		}()
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return conns, nil
}

func openWatch(target *Target, request []byte) (*Conn, error) {
	conn, err := target.dial()
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(dialTimeout))
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	head, err := conn.readHead()
	if err != nil {
		return nil, err
	}
	if head.status != 200 || !head.chunked {
		return nil, fmt.Errorf("a watch was answered with %d", head.status)
	}
	conn.SetDeadline(time.Time{})
	return conn, nil
}

// ReadEvents reads until the deadline that ends the measurement.
func readEvents(conn *Conn, measuring *atomic.Bool) ([]time.Duration, error) {
	var delays []time.Duration
	var line []byte
	for {
		size, err := conn.readChunkSize()
		if err != nil {
			if !measuring.Load() {
				return delays, nil
			}
			return delays, err
		}
		if size == 0 {
			return delays, fmt.Errorf("the origin ended it")
		}
		// An event may be cut over several chunks by whoever is in between.
		if err := conn.readExactly(size, func(b []byte) { line = append(line, b...) }); err != nil {
			return delays, err
		}
		conn.in.Discard(2)
		for {
			event, rest, found := bytes.Cut(line, []byte{'\n'})
			if !found {
				break
			}
			sent, err := sentAt(event)
			if err != nil {
				return delays, err
			}
			if measuring.Load() {
				delays = append(delays, time.Since(sent))
			}
			line = append(line[:0], rest...)
		}
	}
}

var sentKey = []byte(`"sentNs":`)

func sentAt(event []byte) (time.Time, error) {
	at := bytes.Index(event, sentKey)
	if at < 0 {
		return time.Time{}, fmt.Errorf("not an event: %.80q", event)
	}
	digits := event[at+len(sentKey):]
	digits = digits[:bytes.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })]
	nanoseconds, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, nanoseconds), err
}

package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	eventBytes   = 1024
	maxWatchTime = 20 * time.Minute
	bookmarkTime = 50 * time.Second
)

// ServeOrigin is what nginx cannot do for the benchmark: it counts uploads and emits watch events. It listens on a
// Unix socket behind nginx, which keeps TLS and everything else the same as for the other workloads.
func serveOrigin(spec Spec, session *Session) (map[string]any, error) {
	listener, err := net.Listen("unix", spec.File)
	if err != nil {
		return nil, err
	}
	events := &eventSwitch{changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /", countUpload)
	mux.HandleFunc("GET /quiet", quiet)
	mux.HandleFunc("GET /events", events.emit)
	mux.HandleFunc("POST /control/on", func(http.ResponseWriter, *http.Request) { events.set(true) })
	mux.HandleFunc("POST /control/off", func(http.ResponseWriter, *http.Request) { events.set(false) })
	go http.Serve(listener, mux)
	session.ready(map[string]any{})
	return map[string]any{}, nil
}

func countUpload(w http.ResponseWriter, r *http.Request) {
	crc := uint32(0)
	buf := make([]byte, 1<<18)
	var total int64
	for {
		n, err := r.Body.Read(buf)
		crc = crc32.Update(crc, castagnoli, buf[:n])
		total += int64(n)
		if err != nil {
			break
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"bytes": total, "crc": crc})
}

// Quiet is a watch on which nothing happens, as the agent's own heartbeat opens them.
func quiet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	bookmark := time.NewTicker(bookmarkTime)
	defer bookmark.Stop()
	deadline := time.After(maxWatchTime)
	for {
		select {
		case <-bookmark.C:
			fmt.Fprintln(w, `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}`)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		case <-deadline:
			return
		}
	}
}

// EventSwitch turns events on and off for all watches at once.
type eventSwitch struct {
	lock    sync.Mutex
	isOn    bool
	streams int
	changed chan struct{}
}

func (s *eventSwitch) set(isOn bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.isOn = isOn
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *eventSwitch) state() (bool, chan struct{}) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.isOn, s.changed
}

func (s *eventSwitch) next() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.streams++
	return s.streams
}

// Emit sends one event a second while events are on. Streams are spread over the second.
func (s *eventSwitch) emit(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	offset := time.Duration(s.next()%1000) * time.Millisecond
	deadline := time.After(maxWatchTime)
	for {
		isOn, changed := s.state()
		wait := time.Duration(1<<62 - 1)
		if isOn {
			wait = time.Until(time.Now().Truncate(time.Second).Add(time.Second + offset))
			if wait > time.Second {
				wait -= time.Second
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			w.Write(event(time.Now()))
			w.(http.Flusher).Flush()
		case <-changed:
		case <-r.Context().Done():
			return
		case <-deadline:
			return
		}
		timer.Stop()
	}
}

func event(now time.Time) []byte {
	head := fmt.Sprintf(`{"type":"MODIFIED","object":{"kind":"ConfigMap","apiVersion":"v1","sentNs":%d,"data":{"k":"`, now.UnixNano())
	tail := `"}}}` + "\n"
	return []byte(head + strings.Repeat("x", max(0, eventBytes-len(head)-len(tail))) + tail)
}

// Command loadgen is the benchmark's generator, origin helper and delay line: one small program, standard library only.
//
// It reads a JSON spec from the first line of stdin (so that no token is ever an argument), prints `ready` when set
// up and warm, begins when it reads another line, prints `result` and ends when stdin ends. The pauses are there for
// the harness to read /proc at exactly the right moments.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Spec is everything a mode may need.
type Spec struct {
	Mode string `json:"mode"`

	// Where to send requests, and as whom.
	URL      string `json:"url"`
	Path     string `json:"path"`
	CAFile   string `json:"caFile"`
	Token    string `json:"token"`
	CertPEM  string `json:"certPem"`
	KeyPEM   string `json:"keyPem"`
	Insecure bool   `json:"anyCipher"`

	Concurrency int     `json:"concurrency"`
	WarmupMs    float64 `json:"warmupMs"`
	DurationMs  float64 `json:"durationMs"`
	Count       int     `json:"count"`
	// What a body must be; CRC is Castagnoli's, which processors compute.
	Bytes int64  `json:"bytes"`
	CRC   uint32 `json:"crc"`

	// Files, sockets and devices of the helper modes.
	File    string   `json:"file"`
	Dir     string   `json:"dir"`
	Hosts   []string `json:"hosts"`
	Device  string   `json:"device"`
	DelayMs float64  `json:"delayMs"`
}

// Session is the conversation with the harness.
type Session struct {
	in    *bufio.Reader
	ended chan struct{}
	lines chan struct{}
	once  sync.Once
}

func (s *Session) say(event string, fields map[string]any) {
	fields["event"] = event
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

// Ready tells the harness and waits for its word.
func (s *Session) ready(fields map[string]any) {
	s.say("ready", fields)
	select {
	case <-s.lines:
	case <-s.ended:
		os.Exit(0)
	}
}

// Listen ends the program when the harness is gone: nothing is left behind.
func (s *Session) listen() {
	for {
		if _, err := s.in.ReadString('\n'); err != nil {
			close(s.ended)
			return
		}
		s.lines <- struct{}{}
	}
}

var modes = map[string]func(Spec, *Session) (map[string]any, error){
	"load":     load,
	"download": download,
	"upload":   upload,
	"stall":    stall,
	"watch":    watch,
	"exec":     execCommands,
	"origin":   serveOrigin,
	"delay":    delayLine,
	"fill":     fillFile,
	"certs":    writeCerts,
}

func main() {
	session := &Session{in: bufio.NewReader(os.Stdin), ended: make(chan struct{}), lines: make(chan struct{}, 1)}
	fail := func(err error) {
		session.say("error", map[string]any{"message": err.Error()})
		os.Exit(1)
	}
	line, err := session.in.ReadBytes('\n')
	if err != nil && err != io.EOF {
		fail(err)
	}
	var spec Spec
	if err := json.Unmarshal(line, &spec); err != nil {
		fail(fmt.Errorf("the spec on stdin is not JSON: %w", err))
	}
	mode, ok := modes[spec.Mode]
	if !ok {
		fail(fmt.Errorf("no such mode: %q", spec.Mode))
	}
	go session.listen()
	// Every run is bounded, whatever happens to the harness; helpers serve many measurements.
	limit := time.Hour
	if spec.Mode == "origin" || spec.Mode == "delay" {
		limit = 24 * time.Hour
	}
	time.AfterFunc(limit, func() { os.Exit(3) })
	result, err := mode(spec, session)
	if err != nil {
		fail(err)
	}
	session.say("result", result)
	<-session.ended
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func durationOf(milliseconds float64) time.Duration {
	return time.Duration(milliseconds * float64(time.Millisecond))
}

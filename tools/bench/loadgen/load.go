package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a closed loop: each of c connections asks again as soon as it was answered.
func load(spec Spec, session *Session) (map[string]any, error) {
	target, err := newTarget(spec)
	if err != nil {
		return nil, err
	}
	request := target.request("GET", spec.Path, "")
	conns := make([]*Conn, spec.Concurrency)
	for i := range conns {
		if conns[i], err = target.dial(); err != nil {
			return nil, err
		}
	}
	ask := func(conn *Conn) error {
		n, err := conn.get(request, func([]byte) {})
		if err == nil && spec.Bytes > 0 && n != spec.Bytes {
			err = fmt.Errorf("%d bytes came instead of %d", n, spec.Bytes)
		}
		return err
	}

	if _, _, err := closedLoop(conns, durationOf(spec.WarmupMs), ask); err != nil {
		return nil, err
	}
	session.ready(map[string]any{})
	latencies, took, err := closedLoop(conns, durationOf(spec.DurationMs), ask)
	if err != nil {
		return nil, err
	}
	result := percentiles(latencies)
	result["requests"] = len(latencies)
	result["seconds"] = took.Seconds()
	result["rps"] = float64(len(latencies)) / took.Seconds()
	return result, nil
}

func closedLoop(conns []*Conn, during time.Duration, ask func(*Conn) error) ([]time.Duration, time.Duration, error) {
	var stop atomic.Bool
	timer := time.AfterFunc(during, func() { stop.Store(true) })
	defer timer.Stop()
	each := make([][]time.Duration, len(conns))
	failures := make([]error, len(conns))
	var group sync.WaitGroup
	startedAt := time.Now()
	for i, conn := range conns {
		group.Add(1)
		go func() {
			defer group.Done()
			latencies := make([]time.Duration, 0, 1<<16)
			for !stop.Load() {
				since := time.Now()
				// A request that hangs is a failure, not a pause.
				conn.SetDeadline(since.Add(30 * time.Second))
				if err := ask(conn); err != nil {
					failures[i] = err
					stop.Store(true)
					break
				}
				latencies = append(latencies, time.Since(since))
			}
			each[i] = latencies
		}()
	}
	group.Wait()
	took := time.Since(startedAt)
	for _, err := range failures {
		if err != nil {
			return nil, took, err
		}
	}
	return slices.Concat(each...), took, nil
}

// Percentiles are exact: every single latency is kept and sorted.
func percentiles(latencies []time.Duration) map[string]any {
	if len(latencies) == 0 {
		return map[string]any{}
	}
	slices.Sort(latencies)
	at := func(share float64) float64 { return ms(latencies[int(share*float64(len(latencies)-1))]) }
	return map[string]any{"p50Ms": at(0.5), "p90Ms": at(0.9), "p99Ms": at(0.99), "maxMs": at(1)}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	tunSetInterface = 0x400454ca // TUNSETIFF
	tunPackets      = 0x0001     // IFF_TUN
	tunBare         = 0x1000     // IFF_NO_PI
	maxQueued       = 1 << 17    // packets on their way: far more than any window here needs
)

// DelayLine is a network link with a round trip of its own: a TUN device whose other end gives every packet back
// after DelayMs with source and destination swapped. Who connects to the device's peer address reaches the local
// listener, through real TCP on both ends and over that link. It does what netem does, on kernels without netem;
// swapping two addresses leaves every checksum as it was.
func delayLine(spec Spec, session *Session) (map[string]any, error) {
	device, err := openTun(spec.Device)
	if err != nil {
		return nil, fmt.Errorf("no TUN device %s: %w", spec.Device, err)
	}
	type packet struct {
		bytes []byte
		due   time.Time
	}
	line := make(chan packet, maxQueued)
	spare := make(chan []byte, maxQueued)
	dropped := 0
	failed := make(chan error, 2)
	go func() {
		for {
			var buf []byte
			select {
			case buf = <-spare:
			default:
				buf = make([]byte, 65_536)
			}
			n, err := syscall.Read(device, buf)
			if err != nil {
				failed <- err
				return
			}
			select {
			case line <- packet{buf[:n], time.Now().Add(durationOf(spec.DelayMs))}:
			default:
				dropped++
			}
		}
	}()
	go func() {
		for p := range line {
			if wait := time.Until(p.due); wait > 0 {
				time.Sleep(wait)
			}
			turnAround(p.bytes)
			if _, err := syscall.Write(device, p.bytes); err != nil && !errors.Is(err, syscall.EIO) {
				failed <- err
				return
			}
			select {
			case spare <- p.bytes[:cap(p.bytes)]:
			default:
			}
		}
	}()
	go func() {
		fmt.Fprintln(os.Stderr, <-failed)
		os.Exit(1)
	}()
	session.ready(map[string]any{})
	return map[string]any{"dropped": dropped}, nil
}

func openTun(name string) (int, error) {
	device, err := syscall.Open("/dev/net/tun", syscall.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	var request struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:15], name)
	request.flags = tunPackets | tunBare
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(device), tunSetInterface, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, errno
	}
	return device, nil
}

// TurnAround swaps the addresses of an IPv4 packet.
func turnAround(packet []byte) {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return
	}
	var source [4]byte
	copy(source[:], packet[12:16])
	copy(packet[12:16], packet[16:20])
	copy(packet[16:20], source[:])
}

package probes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// raw is an event as the programs write it into the ring buffer, in the machine's byte order.
type raw struct {
	Kind    uint32
	CPU     uint32
	At      uint64 // CLOCK_MONOTONIC, ns
	Length  uint64 // ns
	Cgroup  uint64
	Watched uint64
	By      uint64
	Pid     uint32
	ByPid   uint32
	Pages   uint64
	Call    uint32 // number of the system call
	Errno   uint32
	Comm    [commBytes]byte
}

const (
	commBytes = 16 // TASK_COMM_LEN
	rawBytes  = 88
)

// Where the fields of a raw lie, for the programs.
const (
	rawKind    = 0
	rawCPU     = 4
	rawAt      = 8
	rawLength  = 16
	rawCgroup  = 24
	rawWatched = 32
	rawBy      = 40
	rawPid     = 48
	rawByPid   = 52
	rawPages   = 56
	rawCall    = 64
	rawErrno   = 68
	rawComm    = 72
)

// kinds are the numbers of the kinds in a raw.
var kinds = []Kind{"", Throttled, OOMKill, OOMExit, OOMReaped, OOMReleased, ForkRefused, Waited, Reclaimed, HighStall, Phase}

func kindNumber(k Kind) int32 {
	for i, other := range kinds {
		if other == k {
			return int32(i)
		}
	}
	return 0
}

// decode turns a record of the ring buffer into an event; boot is when CLOCK_MONOTONIC was zero.
func decode(sample []byte, boot time.Time) (Event, error) {
	if len(sample) < rawBytes {
		return Event{}, fmt.Errorf("decode event: %d bytes, want %d", len(sample), rawBytes)
	}
	var r raw
	if err := binary.Read(bytes.NewReader(sample), binary.NativeEndian, &r); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	if r.Kind == 0 || int(r.Kind) >= len(kinds) {
		return Event{}, fmt.Errorf("decode event: kind %d is unknown", r.Kind)
	}
	e := Event{
		Kind: kinds[r.Kind], At: boot.Add(time.Duration(r.At)), Length: time.Duration(r.Length), // since boot
		Cgroup: r.Cgroup, Watched: r.Watched, By: r.By, Pid: int(r.Pid), ByPid: int(r.ByPid), CPU: int(r.CPU), Pages: r.Pages,
	}
	comm, _, _ := bytes.Cut(r.Comm[:], []byte{0})
	e.Comm = string(comm)
	if e.Kind == Phase || e.Kind == ForkRefused {
		e.Call = callName(r.Call)
	}
	if r.Errno != 0 {
		e.Errno = unix.ErrnoName(unix.Errno(r.Errno))
	}
	return e, nil
}

// booted is when CLOCK_MONOTONIC was zero.
func booted() (time.Time, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return time.Time{}, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
	}
	// Without Round, what is computed from it would still carry Go's own monotonic reading.
	return time.Now().Round(0).Add(-time.Duration(now.Nano())), nil
}

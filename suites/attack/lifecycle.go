package attack

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var lifecycleAttacks = []Attack{
	Live,
	LeaveProcesses, strayChild, strayParent,
	RunFrozen, counterChild,
}

// Live does nothing but be there: what is tried is the runtime. It holds at the point
// Target.Name, if there is one.
var Live = Attack{Name: "lifecycle.live", Run: func(a *Attempt) {
	if a.Target.Name != "" {
		a.Hold(a.Target.Name)
	}
	a.Try("live", nil)
}}

// LeaveProcesses starts children that are hard to find again, holds, and ends without them.
// Target.For bounds how long they live.
var LeaveProcesses = Attack{Name: "lifecycle.no-process-left", Run: func(a *Attempt) {
	f, err := newFamily()
	if !a.Try("make pipes", err) {
		return
	}
	session := a.Again(strayChild)
	session.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	a.Try("start a child in a session of its own", f.start(session))
	parent := a.Again(strayParent)
	if a.Try("start the parent of an orphan", f.start(parent)) {
		a.Try("wait for the orphan's parent", parent.Wait())
	}
	stopped := a.Again(strayChild)
	if a.Try("start a child to stop", f.start(stopped)) {
		a.Try("stop it", stopped.Process.Signal(syscall.SIGSTOP))
	}
	traced := a.Again(strayChild)
	traced.SysProcAttr = &syscall.SysProcAttr{Ptrace: true} // it stays where execve has stopped it
	a.Try("start a traced child", f.start(traced))
	a.Hold("strays")
}}

// strayChild outlives whatever it was started by.
var strayChild = Attack{Name: "lifecycle.no-process-left/child", Run: func(a *Attempt) {
	time.Sleep(a.Target.For) //nolint:forbidigo // to be there is all it does
}}

var strayParent = Attack{Name: "lifecycle.no-process-left/parent", Run: func(a *Attempt) {
	child := a.Again(strayChild)
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	if child.Start() != nil {
		os.Exit(1)
	}
}}

// CounterSlot is the distance of the counters of RunFrozen, in bytes: a cache line each.
const CounterSlot = 64

// RunFrozen starts Target.Count children of which each counts up in its slot of the file /counters
// of the root directory, and holds. Target.For bounds how long they run.
var RunFrozen = Attack{Name: "lifecycle.freeze-stops-all", Run: func(a *Attempt) {
	f, err := newFamily()
	if !a.Try("make pipes", err) {
		return
	}
	defer func() {
		for _, child := range f.started {
			_ = child.Process.Kill()
		}
		_ = f.end()
	}()
	counters, err := a.mapCounters()
	if !a.Try("map the counters", err) {
		return
	}
	for i := range a.Target.Count {
		t := a.Target
		t.Key = i
		if !a.Try("start a counter", f.start(a.AgainAt(counterChild, t))) {
			return
		}
	}
	running := func() bool {
		for i := range a.Target.Count {
			if atomic.LoadUint64(slot(counters, i)) == 0 {
				return false
			}
		}
		return true
	}
	end := time.Now().Add(a.Target.For)
	for !running() && time.Now().Before(end) {
		time.Sleep(time.Millisecond) //nolint:forbidigo // nothing tells of a change of memory
	}
	a.Hold("counting")
}}

// counterChild counts up in slot Target.Key. Every second one sleeps between, as a timer must
// not wake what is frozen either.
var counterChild = Attack{Name: "lifecycle.freeze-stops-all/counter", Run: func(a *Attempt) {
	counters, err := a.mapCounters()
	if err != nil {
		os.Exit(1)
	}
	for end := time.Now().Add(a.Target.For); time.Now().Before(end); {
		atomic.AddUint64(slot(counters, a.Target.Key), 1)
		if a.Target.Key%2 == 1 {
			time.Sleep(100 * time.Microsecond) //nolint:forbidigo // the timer is the attack
		}
	}
}}

func slot(counters []byte, i int) *uint64 {
	return (*uint64)(unsafe.Pointer(&counters[i*CounterSlot]))
}

func (a *Attempt) mapCounters() ([]byte, error) {
	fd, err := unix.Open(a.Inside("/counters"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // the mapping stays
	return unix.Mmap(fd, 0, a.Target.Count*CounterSlot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Counters reads the slots of a file of counters.
func Counters(file []byte, count int) []uint64 {
	all := make([]uint64, 0, count)
	for i := range min(count, len(file)/CounterSlot) {
		all = append(all, binary.NativeEndian.Uint64(file[i*CounterSlot:]))
	}
	return all
}

package attack

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CounterSlot is the distance of the counters of RunFrozen, in bytes: a cache line each.
const CounterSlot = 64

// RunFrozen starts Target.Count children of which each counts up in its slot of the file /counters
// of the root directory, and the first thaws its cgroup all the time. It holds while they do.
// Target.For bounds how long they run.
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
	nest, err := a.nestToThaw()
	if err == nil {
		err = thaw(nest)
	}
	a.Try("thaw a cgroup below its own", err)
	for i := range a.Target.Count {
		t := a.Target
		if t.Key = i; i == 0 {
			t.Path = nest
		}
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
		time.Sleep(time.Millisecond) //nolint:forbidigo // the kernel gives no event for a change of memory
	}
	a.Hold("counting")
}}

// nestToThaw makes a cgroup below the attacker's own whose state is the attacker's to change.
func (a *Attempt) nestToThaw() (string, error) {
	dir, _, ok := a.ownGroup("", "cgroup.freeze")
	if !ok {
		dir, _, ok = a.ownGroup("freezer", "freezer.state")
	}
	if !ok {
		return "", unix.ENOENT
	}
	nest := filepath.Join(dir, "thawed")
	return nest, os.Mkdir(nest, 0o755)
}

// thaw writes to the one of the two files that there is: v2's or v1's.
func thaw(group string) error {
	err := writeTo(group+"/cgroup.freeze", "0")
	if errors.Is(err, unix.ENOENT) {
		err = writeTo(group+"/freezer.state", "THAWED")
	}
	return err
}

// counterChild counts up in slot Target.Key. Every second one sleeps between, as a timer must
// not wake what is frozen either. One with a cgroup, Target.Path, moves there and thaws it each time.
var counterChild = Attack{Name: "lifecycle.freeze-stops-all/counter", Run: func(a *Attempt) {
	counters, err := a.mapCounters()
	if err != nil {
		os.Exit(1)
	}
	if a.Target.Path != "" && writeTo(a.Target.Path+"/cgroup.procs", "0") != nil {
		os.Exit(1)
	}
	for end := time.Now().Add(a.Target.For); time.Now().Before(end); {
		if a.Target.Path != "" && thaw(a.Target.Path) != nil {
			os.Exit(1)
		}
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

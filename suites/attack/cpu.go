package attack

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var cpuAttacks = []Attack{
	Spin,
	SpinOn,
	SpinBeside,
	OtherCPUs,
	RaisePriority,
}

// Spin holds at "begin", idles for Target.Bytes nanoseconds, has Target.Count children use all the
// CPU that they get for Target.For, and holds at "spun".
var Spin = Attack{Name: "cpu.spin", Run: func(a *Attempt) {
	a.Hold("begin")
	if a.Target.Bytes > 0 {
		idle := unix.NsecToTimespec(a.Target.Bytes)
		a.Try("idle", unix.Nanosleep(&idle, nil))
	}
	until := monotonic() + int64(a.Target.For)
	for range a.Target.Count {
		if _, err := startTask(spin, until, -1); !a.Try("fork a spinner", err) {
			return
		}
	}
	reap()
	a.Try("spin", nil)
	a.Hold("spun")
}}

// SpinOn has Target.Count children use all the CPU that they get, on the CPU Target.Extra if it names
// one, and holds at "spinning" while they do, Target.For at most.
var SpinOn = Attack{Name: "cpu.spin-on", Run: func(a *Attempt) {
	if cpu, err := strconv.Atoi(a.Target.Extra); err == nil && !a.Try("sched_setaffinity", pin(cpu)) {
		return
	}
	until := monotonic() + int64(a.Target.For)
	var children []int
	for range a.Target.Count {
		pid, err := startTask(spin, until, -1)
		if !a.Try("fork a spinner", err) {
			return
		}
		children = append(children, pid)
	}
	a.Hold("spinning")
	for _, pid := range children {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	reap()
	a.Try("spin", nil)
}}

// SpinBeside is a neighbour that spins on the CPU Target.Extra for Target.For, from the word go.
var SpinBeside = Attack{Name: "cpu.spin/neighbour", Run: func(a *Attempt) {
	var b [1]byte
	if n, _ := a.in.Read(b[:]); n != 1 {
		return
	}
	cpu, err := strconv.Atoi(a.Target.Extra)
	if err == nil {
		err = pin(cpu)
	}
	say(err)
	for until := monotonic() + int64(a.Target.For); monotonic() < until; {
	}
}}

func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

// OtherCPUs runs on each CPU of Target.Extra, "0 1", and holds there.
var OtherCPUs = Attack{Name: "cpu.cpuset", Run: func(a *Attempt) {
	for word := range strings.FieldsSeq(a.Target.Extra) {
		cpu, err := strconv.Atoi(word)
		if err != nil {
			continue
		}
		if a.Try("sched_setaffinity to CPU "+word, pin(cpu)) {
			for until := monotonic() + int64(5*time.Millisecond); monotonic() < until; {
			}
		}
		a.Hold("on " + word)
	}
}}

// RaisePriority asks for every better place in the queues for CPU and disks, and holds at "raised".
var RaisePriority = Attack{Name: "cpu.priority-raise", Run: func(a *Attempt) {
	const (
		better         = 5
		ioprioProcess  = 1       // IOPRIO_WHO_PROCESS of linux/ioprio.h
		ioprioRealtime = 1 << 13 // IOPRIO_CLASS_RT, level 0
	)
	// Better than what all have, and than what it has of its launcher: getpriority(2) tells 20 minus the nice value.
	has, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if !a.Try("getpriority", err) {
		return
	}
	nice := min(20-has, 0) - better
	a.Try(fmt.Sprintf("setpriority %d", nice), unix.Setpriority(unix.PRIO_PROCESS, 0, nice))
	_, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioProcess, 0, ioprioRealtime)
	a.Try("ioprio_set realtime", asError(errno))
	a.Hold("first")
	priority := int32(1)
	_, _, errno = unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO|unix.SCHED_RESET_ON_FORK, uintptr(unsafe.Pointer(&priority)))
	a.Try("sched_setscheduler SCHED_FIFO", asError(errno))
	a.Hold("second")
	deadline := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_DEADLINE, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
		Runtime: 1e6, Deadline: 100e6, Period: 100e6,
	}
	a.Try("sched_setattr SCHED_DEADLINE", unix.SchedSetAttr(0, &deadline, 0))
	a.Hold("last")
}}

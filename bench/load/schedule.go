package load

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// schedule says when operations are due. In an open loop that does not depend on how long those before
// took, so that a stall shows in the latency of every operation that was due meanwhile, and not of one
// alone (coordinated omission).
type schedule struct {
	// every is the time from one operation that is due to the next; 0 is a closed loop, in which one is
	// due when that before has ended.
	every time.Duration
	// window is the time in which operations are due, and grace how long after it they are still begun.
	window, grace time.Duration
	now           func() int64 // nanoseconds
	sleep         func(until int64)
}

// run does what is due. It appends to took the time in nanoseconds from when each operation was due to its
// end. One that could not be begun within the grace has waited at least until then: that time stands for
// it, and unserved counts it.
func (s schedule) run(took []int64, op func() error) (_ []int64, unserved int, err error) {
	start := s.now()
	end := start + int64(s.window)
	due := start
	for {
		now := s.now()
		switch {
		case s.every == 0:
			due = now
		case now < due && due < end:
			s.sleep(due)
			now = s.now()
		}
		if due >= end {
			return took, unserved, nil
		}
		if now >= end+int64(s.grace) {
			took = append(took, now-due)
			unserved++
		} else {
			if err := op(); err != nil {
				return took, unserved, err
			}
			took = append(took, s.now()-due)
		}
		due += int64(s.every)
	}
}

// sleepUntil sleeps until a time of CLOCK_MONOTONIC. It blocks the thread with all that Go has put on it,
// so that no other thread of this process has to wake up.
func sleepUntil(until int64) {
	t := unix.NsecToTimespec(until)
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
		if errno != unix.EINTR {
			return
		}
	}
}

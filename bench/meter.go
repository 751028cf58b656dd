package bench

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// meter measures a region: it is begun right before it and ended right behind it.
type meter struct {
	cpu   time.Duration
	clock int64
}

// begin begins a region with a planted delay, which is a part of it.
func begin(delay time.Duration) meter {
	m := meter{cpu: spent()}
	m.clock = monotonic()
	spin(m.clock, delay)
	return m
}

// end is the value of a region in seconds.
func (m meter) end() Value {
	end := monotonic()
	return m.endAt(end)
}

// endAt is the value of a region that has ended at a time of the monotonic clock. CPU time is counted
// up to now.
func (m meter) endAt(clock int64) Value {
	return Value{Value: time.Duration(clock - m.clock).Seconds(), CPU: (spent() - m.cpu).Seconds()}
}

// spin keeps the CPU busy for a time: a delay as a slower program has it, which no scheduler can fill.
func spin(since int64, delay time.Duration) {
	for delay > 0 && monotonic()-since < int64(delay) { //nolint:revive // it is to be busy
	}
}

// monotonic reads CLOCK_MONOTONIC in nanoseconds.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("read the clock: %v", err)) // there is no Linux without it
	}
	return t.Nano()
}

// spent is the CPU time of this process and of the children that it has waited for.
func spent() time.Duration {
	var total int64
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			panic(fmt.Sprintf("read CPU time: %v", err)) // both exist everywhere
		}
		total += u.Utime.Nano() + u.Stime.Nano()
	}
	return time.Duration(total)
}

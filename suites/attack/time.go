package attack

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

var timeAttacks = []Attack{
	ClockOffset,
}

// ClockOffset reads the clocks that a time namespace shifts, tries to shift them itself, and
// reads them again. It holds before and after each reading.
var ClockOffset = Attack{Name: "time.offset", Run: func(a *Attempt) {
	a.Hold("before")
	a.clocks("")
	a.Hold("read")
	f, err := os.OpenFile("/proc/self/timens_offsets", os.O_WRONLY, 0)
	if a.Try("open /proc/self/timens_offsets", err) {
		_, err := f.WriteString("monotonic 86400 0\nboottime 86400 0\n")
		a.Try("write /proc/self/timens_offsets", err)
		f.Close() //nolint:errcheck // what counts was said by write
	}
	a.Hold("changed")
	a.clocks(" again")
	a.Hold("after")
}}

// clocks notes them in nanoseconds, and the uptime as procfs spells it.
func (a *Attempt) clocks(when string) {
	for _, clock := range []struct {
		name string
		id   int32
	}{{"monotonic", unix.CLOCK_MONOTONIC}, {"boottime", unix.CLOCK_BOOTTIME}} {
		var t unix.Timespec
		if a.Try("clock_gettime "+clock.name, unix.ClockGettime(clock.id, &t)) {
			a.Fact(clock.name+when, t.Nano())
		}
	}
	b, err := os.ReadFile("/proc/uptime")
	if fields := strings.Fields(string(b)); a.Try("read /proc/uptime", err) && len(fields) > 0 {
		a.Fact("uptime"+when, fields[0])
	}
}

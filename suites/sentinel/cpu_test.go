package sentinel

import (
	"testing"
	"time"

	"cellwall/runtime/cgroup"
)

// The third line was seen on a loaded machine: 70 ms of 60 in a short window, with nothing wrong.
func TestQuotaExceeded(t *testing.T) {
	for _, c := range []struct {
		name           string
		window, usage  time.Duration
		throttled      uint64 // in as many periods as the window has
		exceeds, shows bool
	}{
		{name: "a quota that is kept", window: 125 * time.Millisecond, usage: 60 * time.Millisecond, throttled: 5, shows: true},
		{name: "one that was not reached", window: 125 * time.Millisecond, usage: 20 * time.Millisecond, throttled: 1},
		{name: "a late tick", window: 83 * time.Millisecond, usage: 70 * time.Millisecond, throttled: 3},
		{name: "a late tick in a whole window", window: 130 * time.Millisecond, usage: 90 * time.Millisecond, throttled: 4},
		{name: "a late tick in a long window", window: 500 * time.Millisecond, usage: 229 * time.Millisecond, throttled: 20, shows: true},
		{name: "twice the quota", window: 500 * time.Millisecond, usage: 400 * time.Millisecond, throttled: 20, exceeds: true},
		{name: "no quota", window: 100 * time.Millisecond, usage: 200 * time.Millisecond, exceeds: true},
	} {
		u := spent{window: c.window, cpu: cgroup.CPUStat{UsageUsec: uint64(c.usage.Microseconds()), NrPeriods: uint64(c.window / cpuPeriod), NrThrottled: c.throttled}}
		if u.exceeds() != c.exceeds || u.shows() != c.shows {
			t.Errorf("%s: exceeds %v, shows %v", c.name, u.exceeds(), u.shows())
		}
	}
}

// The third line was seen on a slow machine: it had 250 ms for what else takes 120.
func TestOutbursts(t *testing.T) {
	for _, c := range []struct {
		name          string
		window, usage time.Duration
		want          bool
	}{
		{name: "quota and bursts", window: 120 * time.Millisecond, usage: 44 * time.Millisecond},
		{name: "no quota", window: 120 * time.Millisecond, usage: 74 * time.Millisecond, want: true},
		{name: "a slow host", window: 250 * time.Millisecond, usage: 74 * time.Millisecond},
		{name: "no quota on a slow host", window: 250 * time.Millisecond, usage: 110 * time.Millisecond, want: true},
	} {
		u := spent{window: c.window, cpu: cgroup.CPUStat{UsageUsec: uint64(c.usage.Microseconds())}}
		if got := u.outbursts(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

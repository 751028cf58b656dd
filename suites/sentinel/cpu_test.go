package sentinel

import (
	"testing"
	"time"

	"cellwall/runtime/cgroup"
)

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

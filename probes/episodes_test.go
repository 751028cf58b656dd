package probes

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cellwall/runtime/cgroup"
)

// quota is a CPU limit in percent of a CPU, with the usual period.
func quota(percent int) cgroup.Limits {
	const period = 100 * time.Millisecond
	return cgroup.Limits{CPUMax: cgroup.CPUMax{Quota: period * time.Duration(percent) / 100, Period: period}}
}

// Limits of a cgroup and of the one above it have their own episodes, also at the same time. cgroup v1 refuses a
// limit above the one above.
func TestNestedLimitsHaveTheirOwnEpisodes(t *testing.T) {
	needRoot(t)
	for _, c := range []struct{ above, below int }{{20, 10}, {15, 15}} {
		t.Run(fmt.Sprintf("%d above %d", c.above, c.below), func(t *testing.T) {
			above := newGroup(t, "above", quota(c.above))
			all := []*counted{{group: above}}
			for _, name := range []string{"a", "b"} {
				g, err := above.Create(name, quota(c.below))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = g.Close() })
				all = append(all, &counted{group: g})
			}
			p := programs(t, "throttle", above, Options{Each: true})
			agree(t, func() error {
				toldOnce(t, gather(t, p, func() { spinIn(t, all[1:]) }))
				var errs []error
				for _, c := range all {
					probe, kernel := c.since(t, p)
					t.Logf("%s: %v, the kernel's %v", c.group.Name(), probe, kernel)
					if (probe - kernel).Abs() > time.Duration(throttledApart*float64(kernel))+time.Millisecond {
						errs = append(errs, fmt.Errorf("%s: the probe's %v and the kernel's %v", c.group.Name(), probe, kernel))
					}
				}
				return errors.Join(errs...)
			})
		})
	}
}

// spinIn lets two threads spin in each of some groups, and waits for them.
func spinIn(t *testing.T, groups []*counted) {
	t.Helper()
	var waits []func() error
	for _, g := range groups {
		c := inGroup(t, g.group, "spin", "2", "1500ms")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, c.Wait)
	}
	for _, wait := range waits {
		if err := wait(); err != nil {
			t.Error(err)
		}
	}
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// tuning is what other processes can change in how one is scheduled and limited.
type tuning struct {
	limits, affinity, policy, nice, ioprio string
}

func (p *Process) tuning() (t tuning, err error) {
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID()))
	if err != nil {
		return t, fmt.Errorf("read limits of the sentinel: %w", err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return t, fmt.Errorf("read stat of the sentinel: %w", err)
	}
	const niceField, policyField = 19, 41
	nice, err1 := kernel.StatField(string(stat), niceField)
	policy, err2 := kernel.StatField(string(stat), policyField)
	if err := errors.Join(err1, err2); err != nil {
		return t, fmt.Errorf("read stat of the sentinel: %w", err)
	}
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(p.PID(), &cpus); err != nil {
		return t, fmt.Errorf("read affinity of the sentinel: %w", err)
	}
	const whoProcess = 1 // IOPRIO_WHO_PROCESS of linux/ioprio.h
	ioprio, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, uintptr(p.PID()), 0)
	if errno != 0 {
		return t, fmt.Errorf("read I/O priority of the sentinel: %w", errno)
	}
	return tuning{
		limits: string(limits), affinity: fmt.Sprint(cpus),
		nice: nice, policy: policy, ioprio: fmt.Sprint(ioprio),
	}, nil
}

// tunables name the fields of tuning.
var tunables = [...]string{"limits", "affinity", "scheduling policy", "nice value", "I/O priority"}

func firstCPU() (set unix.CPUSet) {
	set.Set(0)
	return set
}

// changes names what is different in other.
func (t tuning) changes(other tuning) []string {
	var changed []string
	for i, f := range [len(tunables)]struct{ before, after string }{
		{t.limits, other.limits}, {t.affinity, other.affinity}, {t.policy, other.policy}, {t.nice, other.nice}, {t.ioprio, other.ioprio},
	} {
		if f.before != f.after {
			changed = append(changed, tunables[i])
		}
	}
	return changed
}

// ProcessUntuned is a host process with a uid of its own, which a user namespace maps.
func ProcessUntuned(s *Stage) (*Watch, error) {
	p, err := s.ProcessWith(ProcessOptions{UID: s.Mapped})
	if err != nil {
		return nil, err
	}
	before, err := p.tuning()
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{PID: p.PID(), UID: s.Mapped},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "prlimit", "sched_setaffinity", "sched_setscheduler", "setpriority PRIO_USER", "ioprio_set IOPRIO_WHO_USER"); err != nil {
				return Finding{}, err
			}
			after, err := p.tuning()
			if err != nil {
				return Finding{}, err
			}
			changed := before.changes(after)
			f := Finding{Evidence: "limits, affinity, policy, nice value and I/O priority of the sentinel process are what they were"}
			if len(changed) > 0 {
				f.Evidence = "of the sentinel process changed: " + strings.Join(changed, ", ")
			}
			var parts []part
			for _, name := range tunables {
				// Where it had but the first CPU before, asking for that changes nothing.
				if name != tunables[1] || before.affinity != fmt.Sprint(firstCPU()) {
					parts = append(parts, part{name, slices.Contains(changed, name)})
				}
			}
			return f.of(parts...), nil
		},
	}, nil
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// changes names what is different in other.
func (t tuning) changes(other tuning) []string {
	var changed []string
	for _, f := range []struct{ name, before, after string }{
		{"limits", t.limits, other.limits},
		{"affinity", t.affinity, other.affinity},
		{"scheduling policy", t.policy, other.policy},
		{"nice value", t.nice, other.nice},
		{"I/O priority", t.ioprio, other.ioprio},
	} {
		if f.before != f.after {
			changed = append(changed, f.name)
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
			if changed := before.changes(after); len(changed) > 0 {
				return Finding{Breached: true, Evidence: "of the sentinel process changed: " + strings.Join(changed, ", ")}, nil
			}
			return Finding{Evidence: "limits, affinity, policy, nice value and I/O priority of the sentinel process are what they were"}, nil
		},
	}, nil
}

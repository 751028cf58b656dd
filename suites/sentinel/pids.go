package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/suites/attack"
)

// Limits of the baits and how far the attacks go: both far below the run's fence.
const (
	pidsBait  = 48
	pidsBound = 96 // tasks that an attack makes at most
)

func pidsLimit(s *specs.Spec) {
	n := int64(pidsBait)
	s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &n}
}

// PidsBounded reads how many tasks are in the attacker's cgroup, and those below it, each time
// that it cannot make more, and makes a process on the host at that moment. The cgroup is the
// attacker's own to divide.
func PidsBounded(s *Stage) (*Watch, error) {
	w := &Watch{
		Edits:  append(s.limited(pidsLimit), s.cgroupMount()...),
		Target: attack.Target{Name: s.Name, Count: pidsBound},
		Ready:  func(_ context.Context, a *Subject) error { return s.delegate(a) },
	}
	var seen []string
	var parts []part
	w.Hold = func(_ context.Context, name string, a *Subject) error {
		stat, err := a.Group.Stat()
		if err != nil {
			return err
		}
		parts = append(parts, part{"a bomb in the cgroup " + name, stat.Pids.Current > pidsBait})
		seen = append(seen, fmt.Sprintf("%d (%s)", stat.Pids.Current, name))
		// That the host can still make a process is the other half of the claim.
		if _, err := s.Process(); err != nil {
			return fmt.Errorf("make a process beside the bomb: %w", err)
		}
		return nil
	}
	w.Look = func(_ context.Context, a *Subject, r attack.Record) (Finding, error) {
		f := Finding{Evidence: fmt.Sprintf("with a limit of %d the cgroup held %s tasks", pidsBait, strings.Join(seen, ", "))}.of(parts...)
		if f.Breached {
			return f, nil
		}
		must := []string{"fork"}
		if s.cgroupMount() != nil {
			must = append(must, "mkdir") // of the group below, which it may be refused
		}
		if err := MustTry(r, must...); err != nil {
			return f, err
		}
		e, err := a.Group.Events()
		if err != nil {
			return f, err
		}
		if e.PidsMax == 0 {
			return f, errors.New("the attacker did not get to the limit: pids.events max is 0")
		}
		f.Evidence += fmt.Sprintf("; pids.events max is %d", e.PidsMax)
		return f, nil
	}
	return w, nil
}

// TasksCounted compares the tasks that it counts itself, zombies among them, with the cgroup's
// pids.current.
func TasksCounted(s *Stage) (*Watch, error) {
	var uncounted uint64
	most := map[string]uint64{} // tasks, by the hold
	var seen []string
	probe := s.second("pids")
	w := &Watch{Edits: s.limited(pidsLimit), Target: attack.Target{Count: pidsBound}}
	w.Hold = func(_ context.Context, name string, a *Subject) error {
		before, err := a.Group.Stat()
		if err != nil {
			return err
		}
		children, err := a.children()
		if err != nil {
			return err
		}
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", a.PID))
		if err != nil {
			return err
		}
		after, err := a.Group.Stat()
		if err != nil {
			return err
		}
		n, counted := uint64(len(children)+len(threads)), max(before.Pids.Current, after.Pids.Current)
		most[name] = n
		if n > counted {
			uncounted = max(uncounted, n-counted)
		}
		seen = append(seen, fmt.Sprintf("%d (%s, pids.current %d)", n, name, counted))
		return nil
	}
	w.Look = func(_ context.Context, a *Subject, r attack.Record) (Finding, error) {
		f := Finding{
			Breached: uncounted > 0,
			Evidence: fmt.Sprintf("with a limit of %d there were %s", pidsBait, strings.Join(seen, ", ")),
		}.of(part{"zombies", most["zombies"] > pidsBait}, part{"threads", most["threads"] > pidsBait})
		if f.Breached {
			return f, nil
		}
		if err := MustTry(r, "fork zombies", "clone threads"); err != nil {
			return f, err
		}
		e, err := a.Group.Events()
		if err == nil && e.PidsMax == 0 {
			err = errors.New("the attacker did not get to the limit: pids.events max is 0")
		}
		if err != nil {
			return f, err
		}
		said, err := probe.says(a.Group, e.PidsMax, 0)
		f.Evidence += fmt.Sprintf("; pids.events max is %d; %s", e.PidsMax, said)
		return f, err
	}
	return w, nil
}

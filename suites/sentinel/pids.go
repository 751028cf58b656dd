package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
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
	most, seen := uint64(0), []string(nil)
	w.Hold = func(_ context.Context, name string, a *Subject) error {
		stat, err := a.Group.Stat()
		if err != nil {
			return err
		}
		most = max(most, stat.Pids.Current)
		seen = append(seen, fmt.Sprintf("%d (%s)", stat.Pids.Current, name))
		// That the host can still make a process is the other half of the claim.
		if _, err := s.Process(); err != nil {
			return fmt.Errorf("make a process beside the bomb: %w", err)
		}
		return nil
	}
	w.Look = func(_ context.Context, a *Subject, r attack.Record) (Finding, error) {
		f := Finding{
			Breached: most > pidsBait,
			Evidence: fmt.Sprintf("with a limit of %d the cgroup held %s tasks", pidsBait, strings.Join(seen, ", ")),
		}
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
	var most, uncounted uint64
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
		most = max(most, n)
		if n > counted {
			uncounted = max(uncounted, n-counted)
		}
		seen = append(seen, fmt.Sprintf("%d (%s, pids.current %d)", n, name, counted))
		return nil
	}
	w.Look = func(_ context.Context, a *Subject, r attack.Record) (Finding, error) {
		f := Finding{
			Breached: most > pidsBait || uncounted > 0,
			Evidence: fmt.Sprintf("with a limit of %d there were %s", pidsBait, strings.Join(seen, ", ")),
		}
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

// KillByList is the edit of BombKilled's control: instead of cgroup.kill, a signal to each
// process that the cgroup lists.
const KillByList = "a kill by the list of pids"

const (
	comets     = 16
	flightTime = 1500 * time.Millisecond // how long they would go on
	killWait   = time.Second             // how long a kill of them may take
)

// BombKilled puts the bomb into a cgroup of its own below the container's, kills all of it at
// once, and looks whether anything lives on.
func BombKilled(s *Stage) (*Watch, error) {
	var bomb string
	var killed, left int
	w := &Watch{Target: attack.Target{Count: comets, For: flightTime}}
	w.Hold = func(ctx context.Context, name string, a *Subject) error {
		var err error
		switch name {
		case "nest":
			if bomb, err = s.nest(a); err != nil {
				return err
			}
			children, err := a.children()
			if err != nil {
				return err
			}
			for _, pid := range children {
				if err := moveTo(bomb, pid); err != nil {
					return err
				}
			}
		case "flight":
			if s.Has(KillByList) {
				killed, left, err = killByList(ctx, bomb)
				return err
			}
			if err := os.WriteFile(filepath.Join(bomb, "cgroup.kill"), []byte("1"), 0); err != nil {
				return fmt.Errorf("kill the bomb: %w", err)
			}
			left, err = leftAfter(ctx, bomb)
		}
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{Breached: left > 0, Evidence: fmt.Sprintf("%d processes of the bomb lived on", left)}
		if s.Has(KillByList) {
			f.Evidence += fmt.Sprintf(", %d listed ones were killed", killed)
		}
		return f, MustTry(r, "come back")
	}
	return w, nil
}

// nest makes the bomb's cgroup. It has no controllers, so it may lie below one with processes.
func (s *Stage) nest(a *Subject) (string, error) {
	for _, h := range a.Group.Hierarchies() {
		if !h.V2 {
			continue
		}
		if filepath.Base(h.Path) != s.Name {
			return "", kernel.Unsupported("cgroup.kill: the runtime has made no group in the v2 hierarchy: the container is in %s", h.Path)
		}
		dir := filepath.Join(h.Path, "bomb")
		if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // a cgroup
			return "", fmt.Errorf("make a cgroup for the bomb: %w", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
			return "", kernel.Unsupported("cgroup.kill: %v", err)
		}
		return dir, nil
	}
	return "", kernel.Unsupported("cgroup.kill: there is no v2 hierarchy")
}

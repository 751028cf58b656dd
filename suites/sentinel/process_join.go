package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// joinable are the types of namespace that a bait process has of its own. User and time are not
// among them: a process without capabilities may enter a user namespace that its uid owns, and
// clone(2) makes no time namespace. The harness's own stand in for those: a process in it can do
// no more with them than have them.
var joinable = []string{"cgroup", "ipc", "mnt", "net", "pid", "uts"}

// NamespacesUnjoined passes descriptors of namespaces of all types in, and a pidfd, of which the
// attacker is in none.
func NamespacesUnjoined(s *Stage) (*Watch, error) {
	p, err := s.ProcessWith(ProcessOptions{Cloneflags: unix.CLONE_NEWCGROUP | unix.CLONE_NEWIPC |
		unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS})
	if err != nil {
		return nil, err
	}
	w := &Watch{Target: attack.Target{Path: passed}}
	var fds []int
	bait := map[string]string{}
	add := func(name, path string) error {
		if bait[name], err = os.Readlink(path); err != nil {
			return fmt.Errorf("read namespace: %w", err)
		}
		f, err := os.Open(path) //nolint:gosec // procfs
		if err != nil {
			return fmt.Errorf("open namespace: %w", err)
		}
		s.Undo.Push("close namespace", f.Close)
		fds = append(fds, int(f.Fd()))
		w.Target.Paths = append(w.Target.Paths, name)
		return nil
	}
	for _, name := range joinable {
		if err := add(name, p.NamespacePath(name)); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"time", "user"} {
		if err := add(name, "/proc/self/ns/"+name); err != nil {
			return nil, err
		}
	}
	pidfd, err := unix.PidfdOpen(p.PID(), 0)
	if err != nil {
		return nil, fmt.Errorf("open pidfd of the sentinel: %w", err)
	}
	s.Undo.Push("close pidfd", func() error { return unix.Close(pidfd) })
	fds, w.Target.Paths = append(fds, pidfd), append(w.Target.Paths, "pidfd")
	var joined []string
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		joined, err = a.joined(bait)
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "setns cgroup", "setns mnt", "setns user", "setns pidfd"); err != nil {
			return Finding{}, err
		}
		if len(joined) > 0 {
			return Finding{Breached: true, Evidence: "a child of the attacker entered namespaces: " + strings.Join(joined, ", ")}, nil
		}
		return Finding{Evidence: fmt.Sprintf("no child of the attacker is in any of the %d namespaces", len(bait))}, nil
	}
	return w, s.pass(fds...)
}

// joined names the namespaces in which a child of the attacker is and the attacker is not.
func (a *Subject) joined(bait map[string]string) ([]string, error) {
	pids, err := a.others()
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 {
		return nil, errors.New("the attacker has no child")
	}
	var joined []string
	for name, want := range bait {
		file := name
		if name == "pid" {
			file = "pid_for_children" // setns(2): the caller's own stays
		}
		was, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a.PID, name))
		if err != nil {
			return nil, fmt.Errorf("read namespace of the attacker: %w", err)
		}
		for _, pid := range pids {
			is, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, file))
			if err != nil {
				return nil, fmt.Errorf("read namespace of the attacker's child: %w", err)
			}
			if is == want && was != want {
				joined = append(joined, name)
			}
		}
	}
	slices.Sort(joined)
	return joined, nil
}

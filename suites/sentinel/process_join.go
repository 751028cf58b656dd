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

// joinable are the types of namespace that a bait process has of its own, and nobody but the
// host's root owns.
var joinable = []string{"cgroup", "ipc", "mnt", "net", "pid", "uts"}

// namespaceFiles are the namespaces that an attacker may join: which file of a process shows that it
// has, and which namespace that is. A pidfd's are told by one of them.
type namespaceFiles map[string]struct{ file, bait string }

// owned makes a user and a time namespace, and returns their files. Whoever has the uid of the
// owner of a user namespace has all capabilities in it, so the owner is a user that no container is.
// A kernel may have none of either.
func (s *Stage) owned() (files map[string]string, err error) {
	owner, err := s.neighbour(attack.NamespaceOwner, attack.Target{UID: s.UID}, nil)
	if err != nil {
		return nil, err
	}
	said, err := owner.hears()
	if err != nil {
		return nil, err
	}
	var pid, user, time int
	if _, err := fmt.Sscan(said, &pid, &user, &time); err != nil {
		return nil, fmt.Errorf("make a user namespace: %s", said)
	}
	files = map[string]string{}
	if user == 0 {
		files["user"] = fmt.Sprintf("/proc/%d/ns/user", pid)
	}
	if time == 0 {
		files["time"] = fmt.Sprintf("/proc/%d/ns/time_for_children", pid)
	}
	return files, nil
}

// NamespacesUnjoined passes descriptors of namespaces of all types in, and a pidfd of a process that
// has others, of which the attacker is in none.
func NamespacesUnjoined(s *Stage) (*Watch, error) {
	options := ProcessOptions{Cloneflags: unix.CLONE_NEWCGROUP | unix.CLONE_NEWIPC |
		unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS}
	p, err := s.ProcessWith(options)
	if err != nil {
		return nil, err
	}
	other, err := s.ProcessWith(options)
	if err != nil {
		return nil, err
	}
	owned, err := s.owned()
	if err != nil {
		return nil, err
	}
	w := &Watch{Target: attack.Target{Path: passed}}
	var fds []int
	baits := namespaceFiles{}
	add := func(name, file, path string, open func() (*os.File, error)) error {
		bait, err := os.Readlink(path)
		if err != nil {
			return fmt.Errorf("read namespace: %w", err)
		}
		f, err := open()
		if err != nil {
			return fmt.Errorf("open namespace: %w", err)
		}
		s.Undo.Push("close namespace", f.Close)
		baits[name] = struct{ file, bait string }{file, bait}
		fds, w.Target.Paths = append(fds, int(f.Fd())), append(w.Target.Paths, name)
		return nil
	}
	for _, name := range append(slices.Clone(joinable), "time", "user") { // behind the last it has no right to any other
		path, file := p.NamespacePath(name), name
		if name == "pid" {
			file = "pid_for_children" // setns(2): the caller's own stays
		}
		if !slices.Contains(joinable, name) {
			if path = owned[name]; path == "" {
				continue
			}
		}
		if err := add(name, file, path, func() (*os.File, error) { return os.Open(path) }); err != nil {
			return nil, err
		}
	}
	pidfd := func() (*os.File, error) {
		fd, err := unix.PidfdOpen(other.PID(), 0)
		return os.NewFile(uintptr(fd), "pidfd"), err
	}
	if err := add("pidfd", "mnt", other.NamespacePath("mnt"), pidfd); err != nil {
		return nil, err
	}
	var joined []string
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		joined, err = a.joined(baits)
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		var parts []part
		for _, name := range w.Target.Paths {
			if err := MustTry(r, "setns "+name); err != nil {
				return Finding{}, err
			}
			parts = append(parts, part{name, slices.Contains(joined, name)})
		}
		f := Finding{Evidence: fmt.Sprintf("no child of the attacker is in any of the namespaces %s", strings.Join(w.Target.Paths, ", "))}
		if len(joined) > 0 {
			f.Evidence = "a child of the attacker entered namespaces: " + strings.Join(joined, ", ")
		}
		return f.of(parts...), nil
	}
	return w, s.pass(fds...)
}

// joined names the namespaces in which a child of the attacker is and the attacker is not.
func (a *Subject) joined(baits namespaceFiles) ([]string, error) {
	pids, err := a.others()
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 {
		return nil, errors.New("the attacker has no child")
	}
	var joined []string
	for name, want := range baits {
		was, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a.PID, want.file))
		if err != nil {
			return nil, fmt.Errorf("read namespace of the attacker: %w", err)
		}
		for _, pid := range pids {
			is, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, want.file))
			if err != nil {
				return nil, fmt.Errorf("read namespace of the attacker's child: %w", err)
			}
			if is == want.bait && was != want.bait {
				joined = append(joined, name)
			}
		}
	}
	slices.Sort(joined)
	return joined, nil
}

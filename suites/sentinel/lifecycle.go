package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cellwall/suites/attack"
)

// Edits of the lifecycle's controls that no spec can express: the witness stands in for a
// runtime that leaves something on purpose, in the trial's directory or the fence only.
const (
	LeavesCgroup     = "a runtime that leaves its cgroup"
	LeavesState      = "a runtime that leaves a file of its state"
	LeavesDescriptor = "a runtime that leaves a descriptor open"
	LeavesThread     = "a runtime that leaves a thread"
	LeavesMemory     = "a runtime that leaves memory"
	JoinsAnyID       = "a runtime that makes a path of any id"
	// ChildrenElsewhere moves a child out of the container's cgroups: no kill or freeze of a cgroup
	// finds it any more.
	ChildrenElsewhere = "a child in another cgroup"
)

// moreLives are containers after the first, for what shows only in repetition.
const moreLives = 3

// StateGone looks for what a runtime keeps of a container: cgroups with groups below them, and
// whatever bears its name in the places where runtimes keep state. All of it must have been
// there, where it was made, and be gone after the deletion.
func StateGone(s *Stage) (*Watch, error) {
	var made []string // the first is the container's own, below which a runtime may have made another for the program
	live := func() *Watch {
		return &Watch{
			Target: attack.Target{Name: "state"},
			Hold: func(_ context.Context, _ string, a *Subject) error {
				for _, h := range a.Group.Hierarchies() {
					own := s.inFence(h.Path)
					if own == "" {
						continue // not a group of the container's own, whatever its name
					}
					nested := filepath.Join(h.Path, "nested")
					if err := os.Mkdir(nested, 0o755); err != nil { // cgroupfs
						return fmt.Errorf("make a group below the container's: %w", err)
					}
					made = append(made, own, h.Path, nested)
				}
				if len(made) == 0 {
					return errors.New("the container has no cgroup of its own")
				}
				return nil
			},
		}
	}
	w := live()
	w.Gone = func(ctx context.Context) (Finding, error) {
		ids := []string{s.Name}
		for i := range moreLives {
			id := fmt.Sprintf("%s-again-%d", s.Name, i)
			ids = append(ids, id)
			if _, err := s.Launch(ctx, id, live()); err != nil {
				return Finding{}, fmt.Errorf("run container %s: %w", id, err)
			}
		}
		if s.Has(LeavesCgroup) {
			own := made[0]
			if err := os.Mkdir(own, 0o755); err != nil { // cgroupfs
				return Finding{}, fmt.Errorf("leave a cgroup: %w", err)
			}
			s.Undo.Push("remove the cgroup left on purpose", func() error { return os.Remove(own) })
		}
		if err := s.leaveState(ids[0]); err != nil {
			return Finding{}, err
		}
		left, err := stateOf(ids)
		// The trial's own directory, which the harness removes, may lie there too.
		left = slices.DeleteFunc(left, func(path string) bool {
			real, err := filepath.EvalSymlinks(path) // /run/shm may be /dev/shm
			return err == nil && (real == s.Dir || strings.HasPrefix(real, s.Dir+"/"))
		})
		slices.Sort(made)
		made = slices.Compact(made)
		for _, path := range made {
			if _, err := os.Lstat(path); err == nil {
				left = append(left, path)
			}
		}
		if len(left) > 0 {
			return Finding{Breached: true, Evidence: fmt.Sprintf("left after deletion: %s", strings.Join(left, ", "))}, err
		}
		return Finding{Evidence: fmt.Sprintf("%d cgroups of %d containers are gone, and nothing bears their names", len(made), len(ids))}, err
	}
	return w, nil
}

// inFence is the group directly below the fence in which another lies, empty where it lies elsewhere.
func (s *Stage) inFence(path string) string {
	for _, f := range s.Fence.Hierarchies() {
		if below, ok := strings.CutPrefix(path, f.Path+"/"); ok {
			first, _, _ := strings.Cut(below, "/")
			return filepath.Join(f.Path, first)
		}
	}
	return ""
}

// leaveState leaves a file of a container's name, where the edit says so.
func (s *Stage) leaveState(id string) error {
	if !s.Has(LeavesState) {
		return nil
	}
	path := filepath.Join(s.Lease, id+".state")
	s.Undo.Push("remove the state left on purpose", func() error { return os.Remove(path) })
	return os.WriteFile(path, nil, 0o600)
}

// stateOf finds what bears one of the names where runtimes keep state: sockets and directories
// below /run, pins in bpffs.
func stateOf(ids []string) ([]string, error) {
	var all []string
	for _, id := range ids {
		for _, dir := range []string{"/run", "/run/*", "/run/*/*", "/var/lib/*", "/sys/fs/bpf", "/sys/fs/bpf/*"} {
			found, err := filepath.Glob(filepath.Join(dir, id+"*"))
			if err != nil {
				return nil, fmt.Errorf("look for state: %w", err)
			}
			all = append(all, found...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

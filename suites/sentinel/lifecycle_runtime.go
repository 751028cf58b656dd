package sentinel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// failure is one way in which a container cannot come to be.
type failure struct {
	name string
	edit func(*specs.Spec)
}

func (s *Stage) failures() []failure {
	all := []failure{
		{"a missing program", func(sp *specs.Spec) { sp.Process.Args[0] = "/cellwall-none" }},
		{"a failing hook", func(sp *specs.Spec) {
			sp.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: filepath.Join(s.Dir, "no-hook")}}}
		}},
		// One that is not there some runtimes make.
		{"a file as its working directory", func(sp *specs.Spec) { sp.Process.Cwd = sp.Process.Args[0] }},
	}
	if s.Rung != spec.Bare && s.Rung != spec.Chroot {
		all = append(all, failure{"a directory mounted on a file", func(sp *specs.Spec) {
			if spec.HasNamespace(sp, specs.MountNamespace) {
				directoryOnFile(s.Dir).Apply(sp)
			} else { // one that mounts nothing
				sp.Root.Path = filepath.Join(s.Dir, "no-root")
			}
		}})
	}
	return all
}

// FailureClean makes containers whose creation fails, each in its own way, and looks for what
// is left of them: cgroups and processes in the fence, and what bears their name.
func FailureClean(s *Stage) (*Watch, error) {
	return &Watch{Gone: func(ctx context.Context) (Finding, error) {
		var ids, left []string
		for i, f := range s.failures() {
			id := fmt.Sprintf("%s-fails-%d", s.Name, i)
			refused := false
			w := &Watch{
				Edits:   spec.Edits{spec.Change(f.name, f.edit)},
				Refused: func(context.Context, error) (Finding, error) { refused = true; return Finding{}, nil },
			}
			_, err := s.Launch(ctx, id, w)
			if errors.Is(err, kernel.ErrNotSupported) {
				continue // what a runtime does not have cannot fail
			}
			if err != nil {
				return Finding{}, fmt.Errorf("make a container with %s: %w", f.name, err)
			}
			if !refused {
				return Finding{}, fmt.Errorf("a container with %s could be made", f.name)
			}
			ids = append(ids, id)
		}
		if len(ids) == 0 {
			return Finding{}, errors.New("no creation could be made to fail")
		}
		if s.Has(LeavesCgroup) {
			g, err := s.Fence.Create(ids[0], cgroup.Limits{})
			if err != nil {
				return Finding{}, err
			}
			s.Undo.Push("remove the cgroup left on purpose", g.Close)
		}
		for _, id := range ids {
			for _, h := range s.Fence.Hierarchies() {
				if path := filepath.Join(h.Path, id); exists(path) {
					left = append(left, path)
				}
			}
		}
		state, err := stateOf(ids)
		if err != nil {
			return Finding{}, err
		}
		procs, err := s.Fence.Procs()
		if err != nil {
			return Finding{}, err
		}
		for _, pid := range procs {
			left = append(left, fmt.Sprintf("process %d", pid))
		}
		if left = append(left, state...); len(left) > 0 {
			return Finding{Breached: true, Evidence: "left after failed creations: " + strings.Join(left, ", ")}, nil
		}
		return Finding{Evidence: fmt.Sprintf("%d failed creations left no cgroup, process or state", len(ids))}, nil
	}}, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Cycles of NoGrowth: the first are not counted, as what is kept for the next container is
// made in them.
const (
	warmUp = 2
	cycles = 6
)

// NoGrowth counts the descriptors and threads of the core's manager, which is this process,
// over containers that come and go. The threads of a Go program are its runtime's affair, so
// only a growth with the containers counts.
func NoGrowth(s *Stage) (*Watch, error) {
	manager := func() (descriptors, threads int, err error) {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0, 0, fmt.Errorf("count descriptors: %w", err)
		}
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return 0, 0, fmt.Errorf("count threads: %w", err)
		}
		return len(fds), len(tasks), nil
	}
	stop := make(chan struct{})
	s.Undo.Push("end the threads left on purpose", func() error { close(stop); return nil })
	leak := func() error {
		if s.Has(LeavesThread) {
			started := make(chan struct{})
			go func() {
				runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
				close(started)
				<-stop
			}()
			<-started
		}
		if !s.Has(LeavesDescriptor) {
			return nil
		}
		f, err := os.Open(s.Dir)
		if err == nil {
			s.Undo.Push("close a descriptor left on purpose", f.Close)
		}
		return err
	}
	return &Watch{Gone: func(ctx context.Context) (Finding, error) {
		var fds, threads int
		for i := range warmUp + cycles {
			if i == warmUp {
				var err error
				if fds, threads, err = manager(); err != nil {
					return Finding{}, err
				}
			}
			if _, err := s.Launch(ctx, fmt.Sprintf("%s-again-%d", s.Name, i), &Watch{}); err != nil {
				return Finding{}, fmt.Errorf("run another container: %w", err)
			}
			if err := leak(); err != nil {
				return Finding{}, err
			}
		}
		fdsAfter, threadsAfter, err := manager()
		if err != nil {
			return Finding{}, err
		}
		return Finding{
			Breached: fdsAfter > fds || threadsAfter-threads > cycles/2, // Go may take one of those it has
			Evidence: fmt.Sprintf("over %d containers descriptors went from %d to %d, threads from %d to %d", cycles, fds, fdsAfter, threads, threadsAfter),
		}, nil
	}}, nil
}

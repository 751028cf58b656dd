package sentinel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
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
		// Its init is killed when it has been made and its program has not started.
		{"a hook that kills it", func(sp *specs.Spec) {
			sp.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{
				Path: s.Binary, Args: []string{attack.Program, attack.KillCreated.Name, fmt.Sprintf(`{"name":%q}`, s.Name)},
			}}}
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
// is left of them: cgroups and processes in the fence, and what bears their name. A runtime that is killed
// itself can undo nothing: what it leaves is its manager's to delete.
func FailureClean(s *Stage) (*Watch, error) {
	return &Watch{Gone: func(ctx context.Context) (Finding, error) {
		var ids, left []string
		for i, f := range s.failures() {
			id := fmt.Sprintf("%s-fails-%d", s.Name, i)
			refused := false
			w := &Watch{
				Edits:   spec.Edits{spec.Change(f.name, f.edit)},
				Refused: func(context.Context, error) (Finding, error) { refused = true; return Finding{}, nil },
				// Whoever starts a container without asking whether its init is still there.
				Silent: func() (Finding, error) { refused = true; return Finding{}, nil },
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
		if err := s.leaveState(ids[0]); err != nil {
			return Finding{}, err
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

package sentinel

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

const (
	treeLimit      = 8  // cgroups below the attacker's
	treeDepth      = 4  // levels of them
	treeBound      = 24 // that the attack makes at most
	namespaceLimit = 8  // of each kind
	namespaceBound = 16
)

// TreeBounded counts the cgroups below the attacker's, which is its own to divide.
func TreeBounded(s *Stage) (*Watch, error) {
	if s.Rung == spec.Chroot {
		return nil, kernel.Unsupported("cgroups: a root directory without mounts shows none")
	}
	w := &Watch{Target: attack.Target{Count: treeBound, Name: s.Name}}
	w.Edits = append(s.limited(func(sp *specs.Spec) {
		unified(sp, map[string]string{
			"cgroup.max.descendants": strconv.Itoa(treeLimit),
			"cgroup.max.depth":       strconv.Itoa(treeDepth),
		})
	}), s.cgroupMount()...)
	dir := ""
	w.Ready = func(_ context.Context, a *Subject) error {
		for _, h := range a.Group.Hierarchies() {
			if h.V2 {
				dir = h.Path
			}
		}
		if dir == "" {
			return kernel.Unsupported("cgroup.max.descendants: there is no v2 hierarchy")
		}
		return s.delegate(a)
	}
	most, deepest := 0, 0
	w.Hold = func(context.Context, string, *Subject) error {
		stat, err := os.ReadFile(filepath.Join(dir, "cgroup.stat"))
		if err != nil {
			return fmt.Errorf("count cgroups: %w", err)
		}
		_, after, _ := strings.Cut(string(stat), "nr_descendants ")
		n, err := strconv.Atoi(strings.Fields(after + " ?")[0])
		if err != nil {
			return fmt.Errorf("count cgroups: %w", err)
		}
		most = max(most, n)
		return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				deepest = max(deepest, strings.Count(path, "/")-strings.Count(dir, "/"))
			}
			return err
		})
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		return Finding{
			Breached: most > treeLimit || deepest > treeDepth,
			Evidence: fmt.Sprintf("with limits of %d and %d there were %d cgroups below its own, %d deep", treeLimit, treeDepth, most, deepest),
		}, MustTry(r, "mkdir wide", "mkdir deep")
	}
	return w, nil
}

// NamespaceLimits sets user.max_*_namespaces of the container's own user namespace. Without one
// the files are the host's: then it does nothing.
func NamespaceLimits(n int) spec.Edit {
	return spec.Change(fmt.Sprintf("limits of %d namespaces of each kind", n), func(sp *specs.Spec) {
		if !spec.HasNamespace(sp, specs.UserNamespace) || !spec.HasNamespace(sp, specs.MountNamespace) {
			return
		}
		if sp.Linux.Sysctl == nil {
			sp.Linux.Sysctl = map[string]string{}
		}
		for _, kind := range attack.NamespaceKinds {
			sp.Linux.Sysctl[kind.Sysctl] = strconv.Itoa(n)
		}
	})
}

// NamespacesBounded counts the namespaces that the attacker's children are in and it is not.
func NamespacesBounded(*Stage) (*Watch, error) {
	w := &Watch{
		Edits:  spec.Edits{NamespaceLimits(namespaceLimit)},
		Target: attack.Target{Count: namespaceBound},
	}
	var seen, tries []string
	var parts []part
	for _, kind := range attack.NamespaceKinds {
		tries = append(tries, "unshare "+kind.Name)
	}
	w.Hold = func(_ context.Context, kind string, a *Subject) error {
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a.PID, kind))
		if err != nil {
			return fmt.Errorf("count namespaces: %w", err)
		}
		children, err := a.children()
		if err != nil {
			return err
		}
		others := map[string]bool{}
		for _, pid := range children {
			link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
			if err == nil && link != own {
				others[link] = true
			}
		}
		seen = append(seen, fmt.Sprintf("%s %d", kind, len(others)))
		parts = append(parts, part{kind, len(others) > namespaceLimit})
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{Evidence: fmt.Sprintf("with a limit of %d it made %s", namespaceLimit, strings.Join(seen, ", "))}
		return f.of(parts...), MustTry(r, tries...)
	}
	return w, nil
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// CgroupLimitsKept shows the container its own cgroups, read-only, and reads their limits on the host
// before and after the attack.
func CgroupLimitsKept(s *Stage) (*Watch, error) {
	edits := append(s.cgroupMount("ro"), spec.Change("limits of the trial", func(sp *specs.Spec) {
		const pids, memory, quota, period = 201, 209_715_200, 90_000, 100_000 // attack.Limits
		if sp.Linux.Resources == nil {
			sp.Linux.Resources = &specs.LinuxResources{}
		}
		r, limit, bytes, q, p := sp.Linux.Resources, int64(pids), int64(memory), int64(quota), uint64(period)
		r.Pids = &specs.LinuxPids{Limit: &limit}
		r.Memory = &specs.LinuxMemory{Limit: &bytes}
		r.CPU = &specs.LinuxCPU{Quota: &q, Period: &p}
	}))
	target := attack.Target{Name: s.Name}
	if s.Rung.Covers(spec.Namespaces) {
		target.Extra = "mount"
	}
	limits := map[string]string{} // by file
	w := &Watch{
		Target: target,
		Edits:  edits,
		Ready: func(_ context.Context, a *Subject) error {
			for _, h := range a.Group.Hierarchies() {
				if !s.ownGroup(h.Path) {
					continue // not the container's own
				}
				for _, l := range attack.Limits() {
					file := filepath.Join(h.Path, l.File)
					if value, err := readValue(file); err == nil && value == l.Now {
						limits[file] = value
					}
				}
			}
			if len(limits) == 0 {
				return errors.New("the container has none of the limits of the trial")
			}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			tries := []string{"read /proc/self/cgroup"}
			if s.Rung != spec.Chroot { // without /proc and /sys it finds no cgroup to write to
				tries = append(tries, "write ")
			}
			if err := MustTry(r, tries...); err != nil {
				return Finding{}, err
			}
			var raised []string
			var parts []part
			for _, file := range slices.Sorted(maps.Keys(limits)) {
				before := limits[file]
				after, err := readValue(file)
				if err != nil {
					return Finding{}, err
				}
				parts = append(parts, part{filepath.Base(file), after != before})
				if after != before {
					raised = append(raised, fmt.Sprintf("%s from %s to %s", filepath.Base(file), before, after))
				}
			}
			f := Finding{Evidence: fmt.Sprintf("all %d limits are what they were", len(limits))}
			if len(raised) > 0 {
				f.Evidence = fmt.Sprintf("%d of %d limits were raised: %s", len(raised), len(limits), strings.Join(raised, ", "))
			}
			return f.of(parts...), nil
		},
	}
	return w.closedCgroups(s), nil
}

func readValue(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read limit: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// outerGroup is where the container sees the cgroup that it wants to move to.
const outerGroup = "/outer"

// CgroupKept shows the container a cgroup beside its own whose list of processes everybody may
// write to, and asks the kernel where the attacker is.
func CgroupKept(s *Stage) (*Watch, error) {
	outer, err := s.Fence.Create(s.Name+"-outer", cgroup.Limits{})
	if err != nil {
		return nil, err
	}
	s.Undo.Push("remove the outer cgroup", outer.Close)
	i := slices.IndexFunc(outer.Hierarchies(), func(h cgroup.Hierarchy) bool { return h.V2 })
	if i < 0 {
		// cgroup1_procs_write looks at the task's owner alone: what a container may write to is
		// all that keeps it.
		return nil, kernel.Unsupported("leaving a cgroup: cgroup v1 has no rule about where a process comes from")
	}
	path := outer.Hierarchies()[i].Path
	if err := unix.Chmod(filepath.Join(path, "cgroup.procs"), 0o666); err != nil {
		return nil, fmt.Errorf("open the outer cgroup: %w", err)
	}
	w := &Watch{Target: attack.Target{Path: path}}
	if s.Rung != spec.Bare {
		w.Target.Path = outerGroup
	}
	if s.Rung.Covers(spec.Namespaces) {
		w.Edits = spec.Edits{spec.WithMount(spec.Bind(path, outerGroup))}
	}
	var finding Finding
	var before string
	w.Ready = func(_ context.Context, a *Subject) (err error) {
		before, err = unifiedGroup(a.PID)
		return err
	}
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		after, err := unifiedGroup(a.PID)
		finding = Finding{Breached: after != before, Evidence: fmt.Sprintf("it was in cgroup %s and is in %s", before, after)}
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		// In a plain chroot it does not see the group, which is an answer; where the group is shown
		// to it, it is none.
		if w.Edits != nil && !Tried(r, "move 0 ") && !slices.Contains(r.Tries, attack.Try{Call: "open the outer cgroup", Errno: int(unix.EACCES)}) {
			return Finding{}, errors.New("the attacker did not get to the outer cgroup")
		}
		return seen(finding)
	}
	return w, nil
}

// unifiedGroup is a process's group in the v2 hierarchy.
func unifiedGroup(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", fmt.Errorf("read cgroup of the attacker: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return group, nil
		}
	}
	return "", errors.New("the attacker is in no cgroup of v2")
}

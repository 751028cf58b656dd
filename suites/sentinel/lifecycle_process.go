package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/suites/attack"
)

// leastStrays are the attacker, its child in another session, its orphan and the stopped one. A
// filter may have denied it the traced one.
const leastStrays = 4

// ProcessesGone holds on to every process of the container by a pidfd and asks after the
// deletion whether it has ended.
func ProcessesGone(s *Stage) (*Watch, error) {
	fds := map[int]int{}
	s.Undo.Push("close pidfds", func() error {
		var errs []error
		for _, fd := range fds {
			errs = append(errs, unix.Close(fd))
		}
		return errors.Join(errs...)
	})
	return &Watch{
		Target: attack.Target{For: 20 * time.Second},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			procs, err := s.own(a)
			if err != nil {
				return err
			}
			for _, pid := range procs {
				fd, err := unix.PidfdOpen(pid, 0)
				if errors.Is(err, unix.ESRCH) {
					continue // one that was ending
				}
				if err != nil {
					return fmt.Errorf("hold on to process %d: %w", pid, err)
				}
				fds[pid] = fd
			}
			if len(fds) < leastStrays {
				return fmt.Errorf("the attacker has only %d processes, not %d", len(fds), leastStrays)
			}
			if !s.Has(ChildrenElsewhere) {
				return nil
			}
			return s.oneElsewhere(a)
		},
		Gone: func(context.Context) (Finding, error) {
			var left []string
			for pid, fd := range fds {
				poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
				if _, err := unix.Poll(poll, 0); err != nil {
					return Finding{}, fmt.Errorf("poll process %d: %w", pid, err)
				}
				if poll[0].Revents == 0 || isOurZombie(pid) {
					left = append(left, strconv.Itoa(pid))
				}
			}
			if len(left) > 0 {
				return Finding{Breached: true, Evidence: fmt.Sprintf("%d of %d processes are still there: %s", len(left), len(fds), strings.Join(left, ", "))}, nil
			}
			return Finding{Evidence: fmt.Sprintf("all %d processes have ended, none is a zombie of the runtime", len(fds))}, nil
		},
	}, nil
}

// own lists the processes in the container's own cgroups. A view of a process's cgroups also shows
// hierarchies in which the container has no group, where the whole host is listed.
func (s *Stage) own(a *Subject) ([]int, error) {
	var all []int
	for _, h := range a.Group.Hierarchies() {
		if !s.ownGroup(h.Path) {
			continue
		}
		pids, err := listed(h.Path)
		if err != nil {
			return nil, fmt.Errorf("the container's own: %w", err)
		}
		all = append(all, pids...)
	}
	slices.Sort(all)
	return a.withoutStarters(slices.Compact(all))
}

// oneElsewhere moves one child of the attacker elsewhere.
func (s *Stage) oneElsewhere(a *Subject) error {
	procs, err := s.own(a)
	if err != nil {
		return err
	}
	child := slices.IndexFunc(procs, func(pid int) bool { return pid != a.PID })
	if child < 0 {
		return errors.New("the attacker has no child to move")
	}
	return s.moveElsewhere(procs[child])
}

// moveElsewhere puts a process of the container into a group of the trial's own in the fence.
func (s *Stage) moveElsewhere(pid int) error {
	// Asked again: nothing but what lies in the fence may ever be moved.
	where, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return fmt.Errorf("move process %d: %w", pid, err)
	}
	ours := func(line string) bool {
		return strings.Contains(line, "/"+s.Fence.Name()+"/") && s.ownName(line)
	}
	if pid <= 1 || !slices.ContainsFunc(strings.Split(string(where), "\n"), ours) {
		return fmt.Errorf("move process %d: it is not the container's", pid)
	}
	g, err := s.Fence.Create(s.Name+"-elsewhere", cgroup.Limits{})
	if err != nil {
		return err
	}
	s.Undo.Push("remove the other cgroup", g.Close)
	s.Undo.Push("kill what was moved", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return g.Kill(ctx)
	})
	for _, h := range g.Hierarchies() {
		if err := os.WriteFile(filepath.Join(h.Path, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("move process %d: %w", pid, err)
		}
	}
	return nil
}

// isOurZombie reports whether a process is a zombie that the harness, the manager of the core's
// containers, has not reaped.
func isOurZombie(pid int) bool {
	status, err := statusOf(pid)
	return err == nil && strings.HasPrefix(StatusField(status, "State:"), "Z") &&
		StatusField(status, "PPid:") == strconv.Itoa(os.Getpid())
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// KillByList is an edit of BombKilled's: instead of cgroup.kill, a signal to each process that the
// cgroup lists.
const KillByList = "a kill by the list of pids"

const (
	comets     = 4                       // more take so much of two CPUs that the witness waits for its turn
	flightTime = 1500 * time.Millisecond // how long they would go on
	killWait   = time.Second             // how long a kill of them may take
	strayWait  = killWait / 5            // and how long anybody may be elsewhere who is about to end
)

// BombKilled kills all of the container's own cgroup at once while a bomb is in it, and looks whether
// anything lives on below the run's fence, in which there is nothing else.
func BombKilled(s *Stage) (*Watch, error) {
	var killed, left int
	flew := false
	w := &Watch{Target: attack.Target{Count: comets, For: flightTime}}
	w.Hold = func(ctx context.Context, name string, a *Subject) error {
		own, fence, err := s.killable(a)
		if err != nil {
			return err
		}
		if name == "idle" {
			if s.Has(ChildrenElsewhere) {
				return s.oneElsewhere(a)
			}
			return nil
		}
		flew = true
		if s.Has(KillByList) {
			killed, left, err = killByList(ctx, own, a.PID)
			return err
		}
		if err := os.WriteFile(filepath.Join(own, "cgroup.kill"), []byte("1"), 0); err != nil {
			return fmt.Errorf("kill the bomb: %w", err)
		}
		if left, err = leftAfter(ctx, own, killWait); left == 0 && err == nil {
			left, err = leftAfter(ctx, fence, strayWait)
		}
		return err
	}
	look := func(lives bool) (Finding, error) {
		if !flew {
			return Finding{}, errors.New("the attacker was gone before its bomb flew")
		}
		f := Finding{Breached: left > 0 || lives, Evidence: fmt.Sprintf("%d processes of the bomb lived on", left)}
		if s.Has(KillByList) {
			f.Evidence += fmt.Sprintf(", %d listed ones were killed", killed)
		}
		return f, nil
	}
	w.Killed = func(context.Context, *Subject) (Finding, error) { return look(false) }
	// The list of the control leaves the attacker out, to whom the orphans of the bomb go.
	w.Look = func(context.Context, *Subject, attack.Record) (Finding, error) { return look(!s.Has(KillByList)) }
	return w, nil
}

// killable are the container's own cgroup and the fence in the v2 hierarchy, the only one with a
// cgroup.kill.
func (s *Stage) killable(a *Subject) (own, fence string, err error) {
	for _, h := range a.Group.Hierarchies() {
		if h.V2 {
			own = h.Path
		}
	}
	for _, h := range s.Fence.Hierarchies() {
		if h.V2 {
			fence = h.Path
		}
	}
	switch {
	case own == "" || fence == "":
		return "", "", kernel.Unsupported("cgroup.kill: there is no v2 hierarchy")
	case !s.ownGroup(own):
		return "", "", kernel.Unsupported("cgroup.kill: the runtime has made no group in the v2 hierarchy: the container is in %s", own)
	case !exists(filepath.Join(own, "cgroup.kill")):
		return "", "", kernel.Unsupported("cgroup.kill: this kernel has none")
	}
	return own, fence, nil
}

// leftAfter waits until a cgroup that was killed holds nobody, and returns how many there are
// when the time is up.
func leftAfter(ctx context.Context, dir string, most time.Duration) (int, error) {
	f, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if err != nil {
		return 0, fmt.Errorf("wait for the end of the bomb: %w", err)
	}
	defer f.Close() //nolint:errcheck // read-only
	deadline := time.Now().Add(most)
	b := make([]byte, 256)
	for ctx.Err() == nil {
		n, err := unix.Pread(int(f.Fd()), b, 0)
		if err != nil {
			return 0, fmt.Errorf("wait for the end of the bomb: %w", err)
		}
		wait := time.Until(deadline)
		empty := strings.Contains(string(b[:n]), "populated 0")
		if empty || wait <= 0 {
			pids, err := listed(dir)
			if !empty {
				// Also tasks of groups below, which are not in this list, populate it.
				return max(1, len(pids)), err
			}
			return len(pids), err
		}
		// The kernel wakes it when the file has changed.
		poll := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
		if _, err := unix.Poll(poll, int(wait.Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
			return 0, fmt.Errorf("wait for the end of the bomb: %w", err)
		}
	}
	return 0, ctx.Err()
}

// killByList kills all that are listed at one moment but one, and returns how many that were and how
// many others are there once those have ended. A pidfd that was opened while its process is listed, and
// is so still, can be nobody else's.
func killByList(ctx context.Context, dir string, but int) (killed, left int, err error) {
	list := func() ([]int, error) {
		pids, err := listed(dir)
		return slices.DeleteFunc(pids, func(pid int) bool { return pid == but }), err
	}
	pids, err := list()
	if err != nil {
		return 0, 0, err
	}
	fds := map[int]int{}
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			fds[pid] = fd
		}
	}
	// That somebody is there by the time that the last of the list is killed who is not on it is the
	// race, and chance. So that it is the same in every run: not before one is.
	again := pids
	for stale := false; !stale && ctx.Err() == nil; {
		if again, err = list(); err != nil {
			return 0, 0, err
		}
		stale = slices.ContainsFunc(again, func(pid int) bool { return !slices.Contains(pids, pid) })
	}
	var wait []unix.PollFd
	for pid, fd := range fds {
		if slices.Contains(again, pid) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
			wait = append(wait, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	killed = len(wait)
	for len(wait) > 0 && ctx.Err() == nil {
		if _, err := unix.Poll(wait, 100); err != nil && !errors.Is(err, unix.EINTR) {
			return killed, 0, fmt.Errorf("wait for the end of the bomb: %w", err)
		}
		wait = slices.DeleteFunc(wait, func(p unix.PollFd) bool { return p.Revents != 0 })
	}
	rest, err := list()
	return killed, len(rest), err
}

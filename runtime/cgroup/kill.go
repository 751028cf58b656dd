package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// Kill sends SIGKILL to every process in the group and below it, also to those that fork
// meanwhile, and waits until none is left. It uses cgroup.kill (5.14) where the v2 hierarchy has
// it, else it freezes the group first so that nothing can fork.
func (g *Group) Kill(ctx context.Context) error {
	if g.view {
		return fmt.Errorf("kill cgroup %s: %w", g.name, errView)
	}
	if err := g.use(); err != nil {
		return err
	}
	defer g.release()
	if err := g.kill(ctx); err != nil {
		return fmt.Errorf("kill cgroup %s: %w", g.name, err)
	}
	return nil
}

func (g *Group) kill(ctx context.Context) error {
	procs, err := g.procs()
	if err != nil || len(procs) == 0 {
		return err
	}
	if slices.Contains(procs, os.Getpid()) {
		return errors.New("it holds the process that asks")
	}
	if slices.Contains(procs, 1) {
		return errors.New("it holds process 1, the host's init")
	}
	if d := g.v2(); d != nil {
		err := d.write("cgroup.kill", "1")
		if err == nil {
			if err := d.waitState(ctx, "populated", "0"); err != nil {
				return err
			}
		} else if !errors.Is(err, kernel.ErrNotSupported) {
			return err
		}
	}
	// What is left: everything without cgroup.kill, else only what is in some hierarchies.
	return g.killListed(ctx)
}

// killListed kills by pid until there is nobody left, frozen meanwhile so that nobody forks. A
// v1 freezer also holds those that are to die, so it thaws once all have their signal.
func (g *Group) killListed(ctx context.Context) (err error) {
	procs, err := g.procs()
	if err != nil || len(procs) == 0 {
		return err
	}
	defer func() { err = errors.Join(err, g.stop(false)) }()
	for left := true; left; {
		if err := g.stop(true); err != nil {
			return err
		}
		if left, err = g.killOnce(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); left && err != nil {
			return fmt.Errorf("wait for the processes to exit: %w", err)
		}
	}
	return nil
}

// stop starts to freeze or thaw, without waiting: one task that cannot be frozen must not keep
// the others alive. A group without a freezer, as Remove sees in most v1 hierarchies, stays as it is.
func (g *Group) stop(on bool) error {
	if d := g.v2(); d != nil {
		return d.write("cgroup.freeze", flag(on, true))
	}
	if d := g.dir("freezer"); d != nil {
		return d.write("freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}[on])
	}
	return nil
}

// killOnce signals all that are listed and waits until each of them has exited; left is false
// if there was nobody.
func (g *Group) killOnce(ctx context.Context) (left bool, err error) {
	procs, err := g.procs()
	if err != nil || len(procs) == 0 {
		return false, err
	}
	wake, release, err := waker(ctx)
	if err != nil {
		return true, err
	}
	defer release()
	fds := map[int]int{}
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, pid := range procs {
		if pid == 0 {
			return true, errors.New("it holds processes of an outer pid namespace")
		}
		fd, err := unix.PidfdOpen(pid, 0)
		switch {
		case err == nil:
			fds[pid] = fd
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
			// The next round takes the rest.
		case !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EINVAL):
			return true, fmt.Errorf("pidfd_open: %w", err)
		}
	}
	// A pid may have been reused before it was opened: what is still listed now is ours.
	if procs, err = g.procs(); err != nil {
		return true, err
	}
	poll := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
	for pid, fd := range fds {
		if !slices.Contains(procs, pid) {
			continue
		}
		if pid == os.Getpid() {
			return true, errors.New("it holds the process that asks")
		}
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return true, fmt.Errorf("kill %d: %w", pid, err)
		}
		poll = append(poll, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if g.v2() == nil {
		if err := g.stop(false); err != nil {
			return true, err
		}
	}
	return true, waitExits(ctx, poll)
}

// waitExits waits until every pidfd of the list but the first, which ends the waiting, is
// readable.
func waitExits(ctx context.Context, poll []unix.PollFd) error {
	for len(poll) > 1 {
		if _, err := retry(func() (int, error) { return unix.Poll(poll, -1) }); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if poll[0].Revents != 0 {
			return fmt.Errorf("wait for the processes to exit: %w", context.Cause(ctx))
		}
		poll = slices.DeleteFunc(poll, func(p unix.PollFd) bool { return p.Revents != 0 })
	}
	return nil
}

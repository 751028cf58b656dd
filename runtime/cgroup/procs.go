package cgroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Procs returns, sorted, the processes in the group and in groups below it, in any of its
// hierarchies. A process of an outer pid namespace is 0.
func (g *Group) Procs() ([]int, error) {
	if err := g.use(); err != nil {
		return nil, err
	}
	defer g.release()
	return g.procs()
}

func (g *Group) procs() ([]int, error) {
	var all []int
	for _, d := range g.dirs {
		list, err := d.procs()
		if err != nil {
			return nil, fmt.Errorf("list processes of cgroup %s: %w", g.name, err)
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// procs lists the processes in d and below it.
func (d *dir) procs() ([]int, error) {
	var all []int
	err := d.walk(func(d *dir) error {
		list, err := d.read("cgroup.procs")
		switch {
		case gone(err):
			return nil
		case errors.Is(err, unix.EOPNOTSUPP): // a threaded v2 group: its processes are listed above it
			return nil
		case err != nil:
			return err
		}
		found, err := pids(list)
		all = append(all, found...)
		return err
	})
	return all, err
}

// waker is a descriptor that becomes readable when a context ends.
func waker(ctx context.Context) (fd int, release func(), err error) {
	fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, nil, fmt.Errorf("eventfd: %w", err)
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	return fd, func() {
		if !stop() {
			<-done // the write must not hit a descriptor that is somebody else's by then
		}
		_ = unix.Close(fd)
	}, nil
}

// waitState waits until a key of cgroup.events has a value. The kernel wakes a poll for
// POLLPRI when the file has changed since this descriptor read it, so no change is missed.
func (d *dir) waitState(ctx context.Context, key, value string) error {
	fd, err := d.open("cgroup.events", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	wake, release, err := waker(ctx)
	if err != nil {
		return err
	}
	defer release()
	var page [512]byte
	for {
		n, err := retry(func() (int, error) { return unix.Pread(fd, page[:], 0) })
		if err != nil {
			return d.wrap("read", "cgroup.events", err)
		}
		if slices.Contains(strings.Split(string(page[:n]), "\n"), key+" "+value) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wait for %s %s: %w", key, value, err)
		}
		_, err = retry(func() (int, error) {
			return unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}, {Fd: int32(wake), Events: unix.POLLIN}}, -1)
		})
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
	}
}

// pause lets a little time pass, for the v1 files that do not tell when they change.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Millisecond):
		return nil
	}
}

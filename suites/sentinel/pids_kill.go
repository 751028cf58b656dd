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
)

// leftAfter waits until a cgroup that was killed holds nobody, and returns how many there are
// when the time is up.
func leftAfter(ctx context.Context, dir string) (int, error) {
	f, err := os.Open(filepath.Join(dir, "cgroup.events")) //nolint:gosec // cgroupfs
	if err != nil {
		return 0, fmt.Errorf("wait for the end of the bomb: %w", err)
	}
	defer f.Close() //nolint:errcheck // read-only
	deadline := time.Now().Add(killWait)
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

// killByList kills all that are listed at one moment, and returns how many that were and how many
// are there once those have ended. A pidfd that was opened while its process is listed, and
// is so still, can be nobody else's.
func killByList(ctx context.Context, dir string) (killed, left int, err error) {
	pids, err := listed(dir)
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
		if again, err = listed(dir); err != nil {
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
	rest, err := listed(dir)
	return killed, len(rest), err
}

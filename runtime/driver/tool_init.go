package driver

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// endsWith has the parent of a container's program, an init of the runtime's own, end with it: by itself such an init
// waits for all that the program leaves behind. The returned function waits until the program has ended and the init
// was told, by SIGTERM. A program that is no other's child in its container, or gone already, is left alone.
func endsWith(pid int, procs []int) (wait func() error, err error) {
	nothing := func() error { return nil }
	parent, err := parentOf(pid)
	if err != nil || !slices.Contains(procs, parent) {
		return nothing, err
	}
	program, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nothing, nil
	}
	if err != nil {
		return nothing, fmt.Errorf("hold on to process %d: %w", pid, err)
	}
	init, err := unix.PidfdOpen(parent, 0)
	if err != nil {
		return nothing, errors.Join(fmt.Errorf("hold on to init, process %d: %w", parent, err), unix.Close(program))
	}
	told := make(chan error, 1)
	go func() {
		_, err := awaitEnd(program, -1)
		// LXC forgets a signal that comes while it handles another (interrupt_handler in initutils.c), as the
		// SIGCHLD of the program is: what is said once may never be heard.
		for again := 1; err == nil; again *= 2 { // ms
			var ended bool
			if err = unix.PidfdSendSignal(init, unix.SIGTERM, nil, 0); err == nil {
				ended, err = awaitEnd(init, again)
			}
			if ended {
				break
			}
		}
		if errors.Is(err, unix.ESRCH) {
			err = nil
		}
		told <- errors.Join(err, unix.Close(program), unix.Close(init))
	}()
	return sync.OnceValue(func() error { return <-told }), nil
}

// awaitEnd waits until the process of a pidfd has ended, at most that many milliseconds; -1 is without end.
func awaitEnd(pidfd, atMost int) (ended bool, err error) {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, atMost) // a descriptor
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

var parentLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^PPid:\s+(\d+)$`) })

// parentOf is the pid of a process's parent, 0 where it is gone.
func parentOf(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for the parent of process %d: %w", pid, err)
	}
	m := parentLine().FindSubmatch(status)
	if m == nil {
		return 0, fmt.Errorf("look for the parent of process %d: its status names none", pid)
	}
	return strconv.Atoi(string(m[1]))
}

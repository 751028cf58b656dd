package driver

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// endsWith has the parent of a container's program, an init of the runtime's own, end with it: by itself such an init
// waits for all that the program leaves behind. The returned function waits until the program has ended and the init
// was told, by SIGTERM. A program that is no other's child in its container is left alone.
func endsWith(pid int, procs []int) (wait func() error, err error) {
	parent, err := parentOf(pid)
	if err != nil || !slices.Contains(procs, parent) {
		return nothing, err
	}
	return endTogether(pid, parent)
}

func nothing() error { return nil }

// endTogether is endsWith of a program and its parent. Either may be gone already: then nobody waits for anybody.
func endTogether(pid, parent int) (wait func() error, err error) {
	program, err := await(pid)
	if errors.Is(err, unix.ESRCH) {
		return nothing, nil
	}
	if err != nil {
		return nothing, err
	}
	init, err := await(parent)
	if errors.Is(err, unix.ESRCH) {
		err = nil
	}
	if init == nil {
		return nothing, errors.Join(err, program.close())
	}
	told := make(chan error, 1)
	go func() {
		<-program.done
		var err error
		// LXC forgets a signal that comes while it handles another (interrupt_handler in initutils.c), as the
		// SIGCHLD of the program is: what is said once may never be heard.
		for again := lookEvery; err == nil && !init.over(); again *= 2 {
			if err = init.signal(unix.SIGTERM); err == nil {
				select {
				case <-init.done:
				case <-time.After(again):
				}
			}
		}
		if errors.Is(err, unix.ESRCH) {
			err = nil
		}
		told <- errors.Join(program.err, err, program.close(), init.close())
	}()
	return sync.OnceValue(func() error { return <-told }), nil
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

package core

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
)

// standard gives the standard descriptors. A missing one is /dev/null.
func standard(undo *cleanup.Stack, in, out, errs *os.File) (map[Handle]int, error) {
	handles := map[Handle]int{}
	var null *os.File
	for h, f := range map[Handle]*os.File{Stdin: in, Stdout: out, Stderr: errs} {
		if f == nil && null == nil {
			var err error
			if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return nil, fmt.Errorf("open %s: %w", h, err)
			}
			undo.Push("close "+os.DevNull, null.Close)
		}
		if f == nil {
			f = null
		}
		// Fd makes the open file blocking, which the program shares: one that is not would give
		// it EAGAIN.
		handles[h] = int(f.Fd())
	}
	return handles, nil
}

// fetchTerminal takes the terminal's master out of the child.
func fetchTerminal(c *child, master int) (*os.File, error) {
	fd, err := unix.PidfdGetfd(c.pidfd, master, 0)
	if err != nil {
		return nil, fmt.Errorf("fetch the terminal: %w", err)
	}
	// Nonblocking, so that a read of the master parks a goroutine and Close ends it.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("fetch the terminal: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "terminal"), nil
}

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

// takeTerminal takes the terminal's master that came with a message.
func (c *child) takeTerminal(control []byte) error {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("take the terminal: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return fmt.Errorf("take the terminal: %w", err)
	}
	// Nonblocking, so that a read of the master parks a goroutine and Close ends it.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return errors.Join(fmt.Errorf("take the terminal: %w", err), unix.Close(fds[0]))
	}
	c.terminal = os.NewFile(uintptr(fds[0]), "terminal")
	c.undo.Push("close the terminal", c.terminal.Close)
	return nil
}

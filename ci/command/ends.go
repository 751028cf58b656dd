package command

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// UntilEnd is a context that is canceled by the first of the signals that ask us to end.
func UntilEnd(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(parent)
	ends := make(chan os.Signal, len(Ends())) // one of each
	signal.Notify(ends, Ends()...)
	go func() {
		for s := range ends {
			if s != unix.SIGPIPE || unread(unix.Stdout, unix.Stderr) {
				cancel()
				return
			}
		}
	}()
	return ctx
}

// unread reports whether one of some files is a pipe that nobody reads any more. SIGPIPE comes of every pipe, also
// of that to an attacker that has been killed (os/signal).
func unread(files ...int) bool {
	for _, fd := range files {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(poll, 0); err == nil && n > 0 && poll[0].Revents&unix.POLLERR != 0 {
			return true
		}
	}
	return false
}

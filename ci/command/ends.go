package command

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// ended is the cause of a context that a signal has canceled.
type ended struct{ by unix.Signal }

func (e ended) Error() string { return e.by.String() }

// endedBy gives a wait that a signal has ended the exit code of a shell.
func endedBy(ctx context.Context, err error) error {
	var signal ended
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &signal) {
		return coded{128 + int(signal.by), nil}
	}
	return err
}

// UntilEnd is a context that is canceled by the first of the signals that ask us to end.
func UntilEnd(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	ends := make(chan os.Signal, len(Ends())) // one of each
	signal.Notify(ends, Ends()...)
	go func() {
		for s := range ends {
			if s != unix.SIGPIPE || unread(unix.Stdout, unix.Stderr) {
				cancel(ended{s.(unix.Signal)}) // Notify sends no other
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

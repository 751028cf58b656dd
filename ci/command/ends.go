package command

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

// ended is the cause of a context that a signal has canceled.
type ended struct{ by unix.Signal }

func (e ended) Error() string { return e.by.String() }

// endedBy gives a wait that a signal has ended the exit code of a shell.
func endedBy(ctx context.Context, err error) error {
	var end ended
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &end) {
		return coded{128 + int(end.by), nil}
	}
	return err
}

// UntilEnd is a context that is canceled by the first of the signals that ask us to end.
func UntilEnd(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	// Apart, as a signal for which there is no room is lost, and those of pipes may be many.
	ends, pipes := make(chan os.Signal, 1), make(chan os.Signal, 1)
	for _, s := range Ends() {
		if s == unix.SIGPIPE {
			signal.Notify(pipes, s)
		} else {
			signal.Notify(ends, s)
		}
	}
	go func() {
		for {
			select {
			case s := <-ends:
				cancel(ended{s.(unix.Signal)}) // Notify sends no other
				return
			case <-pipes:
				if unread(unix.Stdout, unix.Stderr) {
					cancel(ended{unix.SIGPIPE})
					return
				}
			}
		}
	}()
	return ctx
}

// unread reports whether one of some files is a pipe or a socket that nobody reads any more. SIGPIPE comes of every
// pipe, also of that to an attacker that has been killed (os/signal). A terminal that is gone is none: it raises
// SIGHUP, which somebody may have us ignore.
func unread(files ...int) bool {
	for _, fd := range files {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || !slices.Contains([]uint32{unix.S_IFIFO, unix.S_IFSOCK}, st.Mode&unix.S_IFMT) {
			continue
		}
		// Of the two a socket has POLLHUP: the journal of systemd is one.
		poll := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(poll, 0); err == nil && n > 0 && poll[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			return true
		}
	}
	return false
}

package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Status is how a process ended.
type Status struct {
	Code   int         // exit status, where it exited
	Signal unix.Signal // what killed it, or 0
	CPU    time.Duration
}

// Shell returns the status as a shell gives it: the code, or 128 and the signal.
func (s Status) Shell() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return s.Code
}

func (s Status) String() string {
	if s.Signal != 0 {
		return "killed by " + signalName(s.Signal)
	}
	return fmt.Sprintf("exit status %d", s.Code)
}

// signalName names a signal. Those of real time have a number only.
func signalName(s unix.Signal) string { return cmp.Or(unix.SignalName(s), s.String()) }

// waitPidfd reaps a child. With WNOHANG it returns nil if the child is still there.
func waitPidfd(pidfd, options int) (*Status, error) {
	// siginfo_t of a SIGCHLD, as waitid(2) fills it: the fields behind three ints and padding.
	var info struct {
		signo, errno, code int32
		_                  int32
		pid                int32
		uid                uint32
		status             int32
		_                  [100]byte
	}
	var usage unix.Rusage
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|options, &usage)
		if err == unix.EINTR { //nolint:errorlint // straight from the system call
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait: %w", err)
		}
		break
	}
	if info.pid == 0 {
		return nil, nil // documented: still there
	}
	s := &Status{CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano())}
	const exited = 1 // CLD_EXITED
	if info.code == exited {
		s.Code = int(info.status)
	} else {
		s.Signal = unix.Signal(info.status)
	}
	return s, nil
}

// reapEnded reaps a child that has ended, and returns nil for any other. It asks the pidfd first:
// waitid takes a stop from a tracer that is another thread of this process, whatever its
// options, as the thread group of the tracer is what waits (ptrace(2)).
func reapEnded(pidfd int) (*Status, error) {
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0); err == nil && n == 0 {
		return nil, nil // documented: still there
	}
	return waitPidfd(pidfd, unix.WNOHANG)
}

// reaper waits for a process on its pidfd without holding a thread.
type reaper struct {
	file   *os.File
	done   chan struct{}
	status Status
	err    error
}

// reap gives the child to a reaper. Until then it stays a zombie, and its pid its own.
func (c *child) reap() error {
	// A pidfd that is not nonblocking would not be given to the poller: pidfd_open(2).
	if err := unix.SetNonblock(c.pidfd, true); err != nil {
		return fmt.Errorf("make pidfd nonblocking: %w", err)
	}
	r := &reaper{file: os.NewFile(uintptr(c.pidfd), "pidfd"), done: make(chan struct{})}
	conn, err := r.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("poll pidfd: %w", err)
	}
	c.reaper = r
	go func() {
		defer close(r.done)
		err := conn.Read(func(fd uintptr) bool {
			s, err := reapEnded(int(fd))
			if s != nil {
				r.status = *s
			}
			r.err = err
			return s != nil || err != nil
		})
		if err != nil {
			r.err = fmt.Errorf("poll pidfd: %w", err)
		}
	}()
	return nil
}

func (r *reaper) wait(ctx context.Context) (Status, error) {
	select {
	case <-r.done:
		return r.status, r.err
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

// kill kills the process if it is still there.
func (r *reaper) kill() error {
	if err := r.signal(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// end kills the process, waits for it and lets go of it.
func (r *reaper) end() error {
	err := r.kill()
	<-r.done
	return errors.Join(err, r.file.Close())
}

// signal sends a signal to the process, which may have ended: then it is os.ErrProcessDone.
func (r *reaper) signal(sig unix.Signal) error {
	conn, err := r.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	var sent error
	if err := conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return os.ErrProcessDone // the pidfd is closed, which end does once there is nobody
	}
	if sent == unix.ESRCH { //nolint:errorlint // straight from the system call
		return os.ErrProcessDone
	}
	if sent != nil {
		return fmt.Errorf("send %s: %w", signalName(sig), sent)
	}
	return nil
}

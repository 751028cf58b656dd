package driver

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// awaited is a process that is not our child, and that we wait for all the same.
type awaited struct {
	pid    int
	pidfd  *os.File
	done   chan struct{}
	status Status
	err    error
}

// await begins to wait for a process.
func await(pid int) (*awaited, error) {
	a := &awaited{pid: pid, done: make(chan struct{})}
	// Nonblocking, so that the poller takes it: pidfd_open(2).
	fd, err := unix.PidfdOpen(a.pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", a.pid, err)
	}
	a.pidfd = os.NewFile(uintptr(fd), "pidfd")
	conn, err := a.pidfd.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("poll process %d: %w", a.pid, err), a.pidfd.Close())
	}
	go func() {
		defer close(a.done)
		if err := conn.Read(a.ended); err != nil {
			a.err = fmt.Errorf("poll process %d: %w", a.pid, err)
		}
	}()
	return a, nil
}

// ended asks how the process ended, and returns false if it has not.
func (a *awaited) ended(pidfd uintptr) bool {
	status, err := kernel.ExitStatus(a.pid, int(pidfd))
	switch {
	case errors.Is(err, kernel.ErrRunning):
		return false
	case errors.Is(err, kernel.ErrNotSupported):
		a.status.Code = -1 // nobody knows any more
	case err != nil:
		a.err = err
	case status.Signaled():
		a.status.Signal = status.Signal()
	default:
		a.status.Code = status.ExitStatus()
	}
	return true
}

// executes is the file that the process executes. It is empty of one that has ended.
func (a *awaited) executes() string {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", a.pid))
	if err != nil {
		return ""
	}
	return exe
}

func (a *awaited) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

func (a *awaited) wait(ctx context.Context) (Status, error) {
	select {
	case <-a.done:
		return a.status, a.err
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

func (a *awaited) signal(sig unix.Signal) error {
	conn, err := a.pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal process %d: %w", a.pid, err)
	}
	var sent error
	if err := conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil { // a descriptor
		return fmt.Errorf("signal process %d: %w", a.pid, err)
	}
	return sent
}

func (a *awaited) close() error {
	err := a.pidfd.Close() // ends the poll
	<-a.done
	return err
}

package sentinel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// passed is the socket in the root directory from which an attacker takes the descriptors that a
// trial gives it on purpose (attack.Inherited).
const passed = "/inherited"

// pass gives descriptors to whoever asks on the stage's socket. They stay the caller's, who keeps
// them open as long as the stage. The socket is served until the stage ends.
func (s *Stage) pass(fds ...int) error {
	dir, err := unix.Open(s.Rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open root directory: %w", err)
	}
	// Through the descriptor, since a socket's path is short (unix(7)).
	name := fmt.Sprintf("/proc/self/fd/%d%s", dir, passed)
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: name, Net: "unixpacket"})
	if err := errors.Join(err, chmodSocket(name, err), unix.Close(dir)); err != nil {
		return fmt.Errorf("listen for the attacker: %w", err)
	}
	l.SetUnlinkOnClose(false) // it goes with the root directory
	done := make(chan error, 1)
	go func() { done <- serve(l, unix.UnixRights(fds...)) }()
	s.Undo.Push("stop passing descriptors", func() error {
		return errors.Join(l.Close(), <-done, os.Remove(filepath.Join(s.Rootfs, passed)))
	})
	return nil
}

func chmodSocket(name string, err error) error {
	if err != nil {
		return nil //nolint:nilerr // the caller has it
	}
	return os.Chmod(name, 0o777) // file modes are not the barrier
}

func serve(l *net.UnixListener, rights []byte) error {
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept the attacker: %w", err)
		}
		_, _, err = c.WriteMsgUnix([]byte{0}, rights, nil)
		if err := errors.Join(err, c.Close()); err != nil && !errors.Is(err, unix.EPIPE) {
			return fmt.Errorf("pass descriptors: %w", err)
		}
	}
}

// passPidfd passes a pidfd of a host process.
func (s *Stage) passPidfd(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("open pidfd of the sentinel: %w", err)
	}
	s.Undo.Push("close pidfd", func() error { return unix.Close(fd) })
	return s.pass(fd)
}

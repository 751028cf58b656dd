package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// QueueKept is a POSIX message queue with the nonce as its only message. The target's Name is
// its name.
func QueueKept(s *Stage) (*Watch, error) {
	host, err := s.standIn(unix.CLONE_NEWIPC)
	if err != nil {
		return nil, err
	}
	queue, err := s.queue(host)
	if err != nil {
		return nil, err
	}
	return host.guard(&Watch{
		Target: attack.Target{Name: s.Name},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "mq_open"); err != nil {
				return Finding{}, err
			}
			var attr [8]int64
			if _, _, errno := unix.Syscall(unix.SYS_MQ_GETSETATTR, uintptr(queue), 0, uintptr(unsafe.Pointer(&attr))); errno != 0 {
				return Finding{}, fmt.Errorf("look at the queue: %w", errno)
			}
			if f := s.Returned(r); f.Breached {
				return f, nil
			}
			return Finding{Breached: attr[mqCurmsgs] != 1, Evidence: fmt.Sprintf("the host's queue holds %d of 1 message", attr[mqCurmsgs])}, nil
		},
	}), nil
}

// queueMessage is the size of the queue's only message, in bytes: little of RLIMIT_MSGQUEUE.
const queueMessage = 128

// Indexes into struct mq_attr of mq_getattr(3).
const (
	mqMaxmsg  = 1
	mqMsgsize = 2
	mqCurmsgs = 3
)

func (s *Stage) queue(host *standIn) (fd int, err error) {
	name, err := unix.BytePtrFromString(s.Name)
	if err != nil {
		return -1, err
	}
	message := []byte(s.Nonce)
	err = host.inside(func() error {
		attr := [8]int64{mqMaxmsg: 1, mqMsgsize: queueMessage}
		q, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)),
			unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644, uintptr(unsafe.Pointer(&attr)), 0, 0)
		if errno != 0 {
			return fmt.Errorf("make a message queue: %w", errno)
		}
		fd = int(q)
		s.Undo.Push("close the message queue", func() error { return unix.Close(fd) })
		if _, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, q, uintptr(unsafe.Pointer(&message[0])), uintptr(len(message)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("fill the message queue: %w", errno)
		}
		return nil
	})
	return fd, err
}

// AbstractListener listens on an abstract UNIX socket of the host. The target's Name is its name
// without the leading NUL.
func AbstractListener(s *Stage) (*Watch, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make a listener: %w", err)
	}
	s.Undo.Push("close the listener", func() error { return unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + s.Name}), unix.Listen(fd, 8)); err != nil {
		return nil, fmt.Errorf("listen on @%s: %w", s.Name, err)
	}
	return &Watch{
		Target: attack.Target{Name: s.Name},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "connect"); err != nil {
				return Finding{}, err
			}
			accepted, passed, err := acceptAll(fd)
			return Finding{
				Breached: accepted > 0,
				Evidence: fmt.Sprintf("the host's listener accepted %d connections and %d messages with descriptors", accepted, passed),
			}, err
		},
	}, nil
}

// acceptAll takes the connections that wait on a nonblocking listener, and counts them and the
// messages with descriptors that they brought.
func acceptAll(listener int) (accepted, passed int, err error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if errors.Is(err, unix.EAGAIN) {
			return accepted, passed, nil
		}
		if err != nil {
			return accepted, passed, fmt.Errorf("accept: %w", err)
		}
		accepted++
		control := make([]byte, unix.CmsgSpace(4))
		// MSG_CTRUNC or not: without room the kernel drops the descriptors. They are not kept.
		if _, n, _, _, err := unix.Recvmsg(fd, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC); err == nil && n > 0 {
			passed++
			if err := closeRights(control[:n]); err != nil {
				return accepted, passed, errors.Join(err, unix.Close(fd))
			}
		}
		if err := unix.Close(fd); err != nil {
			return accepted, passed, err
		}
	}
}

func closeRights(control []byte) error {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("read passed descriptors: %w", err)
	}
	var errs []error
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		errs = append(errs, err)
		for _, fd := range fds {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

// SharedMemoryFile puts a file with the nonce into the host's /dev/shm, under the stage's name.
// The target's Name is that.
func SharedMemoryFile(s *Stage) (*Watch, error) {
	file := filepath.Join("/dev/shm", s.Name)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, kernel.Unsupported("this host has no /dev/shm")
	case errors.Is(err, unix.EROFS):
		return nil, kernel.Unsupported("this host's /dev/shm is read-only")
	case err != nil:
		return nil, fmt.Errorf("make shared memory file: %w", err)
	}
	s.Undo.Push("remove the shared memory file", func() error { return os.Remove(file) })
	_, err = f.WriteString(s.Nonce)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("fill shared memory file: %w", err)
	}
	return &Watch{
		Target: attack.Target{Name: s.Name},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			return s.Returned(r), MustTry(r, "open /dev/shm/")
		},
	}, nil
}

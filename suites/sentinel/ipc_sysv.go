package sentinel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// SysVUntouched is a segment, a semaphore and a queue of System V IPC, the first and the last
// with the nonce. The target's Key is that of all three.
func SysVUntouched(s *Stage) (*Watch, error) {
	host, err := s.standIn(unix.CLONE_NEWIPC)
	if err != nil {
		return nil, err
	}
	v := &sysV{key: int(rand.Int32N(1<<30)) + 1}
	if err := host.inside(func() error { return v.make(s.Nonce) }); err != nil {
		return nil, err
	}
	return host.guard(&Watch{
		Target: attack.Target{Key: v.key},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (f Finding, err error) {
			if err := MustTry(r, "shmget", "semget", "msgget"); err != nil {
				return f, err
			}
			if err := host.inside(func() error { f, err = v.look(); return err }); err != nil {
				return f, err
			}
			returned := s.Returned(r)
			f.Breached = f.Breached || returned.Breached
			f.Evidence += "; " + returned.Evidence
			return f, nil
		},
	}), nil
}

type sysV struct {
	key                 int
	segment, sem, queue int
}

// make runs in the namespace, which takes the objects along at its end.
func (v *sysV) make(nonce string) error {
	const how = unix.IPC_CREAT | unix.IPC_EXCL | 0o666 // so that no mode is the barrier
	var err error
	if v.segment, err = unix.SysvShmGet(v.key, len(nonce)+1, how); err != nil {
		return fmt.Errorf("make shared memory: %w", err)
	}
	b, err := unix.SysvShmAttach(v.segment, 0, 0)
	if err != nil {
		return fmt.Errorf("attach shared memory: %w", err)
	}
	copy(b, nonce)
	if err := unix.SysvShmDetach(b); err != nil {
		return fmt.Errorf("detach shared memory: %w", err)
	}
	sem, _, errno := unix.Syscall(unix.SYS_SEMGET, uintptr(v.key), 1, how)
	if errno != 0 {
		return fmt.Errorf("make a semaphore: %w", errno)
	}
	queue, _, errno := unix.Syscall(unix.SYS_MSGGET, uintptr(v.key), how, 0)
	if errno != 0 {
		return fmt.Errorf("make a message queue: %w", errno)
	}
	v.sem, v.queue = int(sem), int(queue)
	// struct msgbuf of msgop(2): a positive long, then the text.
	message := append([]byte{1, 1, 1, 1, 1, 1, 1, 1}, nonce...)
	if _, _, errno := unix.Syscall6(unix.SYS_MSGSND, queue, uintptr(unsafe.Pointer(&message[0])), uintptr(len(nonce)), unix.IPC_NOWAIT, 0, 0); errno != 0 {
		return fmt.Errorf("fill the message queue: %w", errno)
	}
	return nil
}

// look runs in the namespace. Each object keeps a trace of its use.
func (v *sysV) look() (f Finding, err error) {
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(v.segment, unix.IPC_STAT, &segment); err != nil {
		return f, fmt.Errorf("look at the shared memory: %w", err)
	}
	const getval = 12 // GETVAL of linux/sem.h
	value, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(v.sem), 0, getval, 0, 0, 0)
	if errno != 0 {
		return f, fmt.Errorf("look at the semaphore: %w", errno)
	}
	message := make([]byte, 8+queueMessage)
	_, _, errno = unix.Syscall6(unix.SYS_MSGRCV, uintptr(v.queue), uintptr(unsafe.Pointer(&message[0])), queueMessage, 0, unix.IPC_NOWAIT, 0)
	if errno != 0 && errno != unix.ENOMSG {
		return f, fmt.Errorf("look at the message queue: %w", errno)
	}
	others := int(segment.Lpid) != os.Getpid()
	f.Evidence = fmt.Sprintf("host segment attached by others: %v, semaphore is %d of 0, queue lost its message: %v", others, value, errno != 0)
	return f.of(part{"the segment", others}, part{"the semaphore", value != 0}, part{"the queue", errno != 0}), nil
}

package attack

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawCall is one system call of a forked child.
type rawCall struct{ number, first, second uintptr }

// maxCalls bounds what a forked child does.
const maxCalls = 16

// forked is a child with a single thread, which no Go program has: some calls refuse a process
// with several.
type forked struct {
	pid     int
	errnos  []unix.Errno // what its calls answered
	release *os.File     // it ends when this does
}

// fork makes a child that runs the calls and then waits. setTID asks for its pid; 0 is any.
func fork(setTID int, calls ...rawCall) (_ *forked, err error) {
	var list [maxCalls]rawCall
	n := copy(list[:], calls)
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer outRead.Close() //nolint:errcheck // read-only
	holdRead, holdWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, outWrite.Close())
	}
	pid, errno := rawFork(setTID, &list, n, outWrite.Fd(), holdRead.Fd(), holdWrite.Fd())
	if err := errors.Join(outWrite.Close(), holdRead.Close()); err != nil {
		return nil, err
	}
	if errno != 0 {
		return nil, errors.Join(errno, holdWrite.Close())
	}
	f := &forked{pid: int(pid), release: holdWrite}
	answers := make([]byte, 8*n)
	if _, err := io.ReadFull(outRead, answers); err != nil {
		return nil, errors.Join(err, f.end())
	}
	for i := range n {
		f.errnos = append(f.errnos, unix.Errno(binary.NativeEndian.Uint64(answers[8*i:])))
	}
	return f, nil
}

// end lets the child end and reaps it.
func (f *forked) end() error {
	err := f.release.Close()
	_, waitErr := unix.Wait4(f.pid, nil, 0, nil)
	return errors.Join(err, waitErr)
}

// tidArgs is struct clone_args of linux/sched.h up to set_tid_size (CLONE_ARGS_SIZE_VER1, 5.5).
type tidArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
}

// rawFork clones. Only the calling thread exists in the child, so nothing here may need the Go
// scheduler, the stack's growth or the heap: it calls nothing but system calls.
//
//go:nosplit
//go:norace
func rawFork(setTID int, calls *[maxCalls]rawCall, n int, out, hold, release uintptr) (uintptr, unix.Errno) {
	var word uint64
	var pid uintptr
	var errno unix.Errno
	if setTID == 0 {
		pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	} else {
		tid := int32(setTID)
		args := tidArgs{exitSignal: uint64(unix.SIGCHLD), setTIDSize: 1}
		args.setTID = uint64(uintptr(unsafe.Pointer(&tid)))
		pid, _, errno = unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
	}
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, release, 0, 0)
	for i := 0; i < n && i < maxCalls; i++ {
		_, _, e := unix.RawSyscall(calls[i].number, calls[i].first, calls[i].second, 0)
		word = uint64(e)
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, out, uintptr(unsafe.Pointer(&word)), 8)
	}
	_, _, _ = unix.RawSyscall(unix.SYS_READ, hold, uintptr(unsafe.Pointer(&word)), 1)
	for {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

package attack

import (
	"errors"
	"fmt"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A job is what a child does that is a fork of the attacker without a Go runtime of its own: it
// makes system calls and nothing else. Such a child costs a tenth of a program start.
type job int

const (
	idle  job = iota // waits to be killed
	ends             // exits at once
	tree             // makes a tree of n children below it, reports each, then waits to be killed
	comet            // until the time n forks itself and exits: it is never where it was
	spin             // runs until the time n, then exits
)

// What a tree tells in one byte each: that it forks, that a process of it is done, or else the
// errno with which a fork failed (every one that clone has is below started).
const (
	treeDone    = 0
	treeStarted = 255
)

// startTask makes a child that does a job. The number n is a count, or a time of CLOCK_MONOTONIC in
// nanoseconds.
func startTask(j job, n int64, out int) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// No handler of the Go runtime may run in the child.
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return 0, err
	}
	pid, errno := rawTask(j, n, uintptr(out))
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); err != nil {
		return 0, err
	}
	if errno != 0 {
		return 0, errno
	}
	return int(pid), nil
}

//go:norace
//go:nosplit
func rawTask(j job, n int64, out uintptr) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	switch j {
	case tree:
		unix.RawSyscall(unix.SYS_SETPGID, 0, 0, 0)
		growTree(n, out)
	case comet:
		fly(n, out)
	case spin:
		tell(out, treeDone)
		for monotonic() < n {
		}
	case idle:
		rest()
	case ends:
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	return 0, 0
}

// growTree makes n descendants: about half of them below each child.
//
//go:norace
//go:nosplit
func growTree(n int64, out uintptr) {
	for n > 0 {
		below := (n - 1) / 2
		tell(out, treeStarted)
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		switch {
		case errno != 0:
			tell(out, byte(errno))
			rest()
		case pid == 0:
			n = below
		default:
			n -= 1 + below
		}
	}
	tell(out, treeDone)
	rest()
}

//go:norace
//go:nosplit
func fly(until int64, out uintptr) {
	tell(out, treeDone)
	for monotonic() < until {
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno == 0 && pid != 0 {
			return
		}
	}
}

//go:norace
//go:nosplit
func tell(out uintptr, b byte) {
	unix.RawSyscall(unix.SYS_WRITE, out, uintptr(unsafe.Pointer(&b)), 1)
}

//go:norace
//go:nosplit
func monotonic() int64 {
	var t unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&t)), 0)
	return int64(t.Sec)*1e9 + int64(t.Nsec)
}

//go:norace
//go:nosplit
func rest() {
	for {
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// forest is a tree of processes that has grown as far as it could.
type forest struct {
	group   int        // its process group
	Size    int        // processes in it
	Refused unix.Errno // of a fork that failed
}

// grow makes a tree of n processes, each of which forks others, and waits until none of them
// forks any more.
func grow(n int) (*forest, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	defer unix.Close(pipe[0]) //nolint:errcheck // nothing was written
	pid, err := startTask(tree, int64(n-1), pipe[1])
	_ = unix.Close(pipe[1])
	var errno unix.Errno
	if errors.As(err, &errno) {
		return &forest{Refused: errno}, nil
	}
	if err != nil {
		return nil, err
	}
	f := &forest{group: pid, Size: 1}
	var b [256]byte
	for still := 0; still != f.Size; {
		n, err := unix.Read(pipe[0], b[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 || err != nil {
			return f, fmt.Errorf("the tree of processes was ended: %v", err) //nolint:errorlint // there may be none
		}
		for _, event := range b[:n] {
			switch event {
			case treeStarted:
				f.Size++
			case treeDone:
				still++
			default:
				f.Refused = unix.Errno(event)
				f.Size--
				still++
			}
		}
	}
	return f, nil
}

// err is what the last fork of the tree answered.
func (f *forest) err() error {
	if f.Refused != 0 {
		return f.Refused
	}
	return nil
}

// fell kills the tree and waits until it is gone.
func (f *forest) fell() {
	if f.group > 0 {
		_ = unix.Kill(-f.group, unix.SIGKILL)
	}
	reap()
}

// reap waits until no child is left.
func reap() {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// settle prepares the attacker for a time in which it cannot have a new thread: the Go runtime
// ends a program that needs one. Orphans of its trees become its own children.
func settle() error {
	debug.SetGCPercent(-1)
	runtime.LockOSThread() // the first one starts a thread that makes others
	defer runtime.UnlockOSThread()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { // each blocks a thread, which stays when it is idle
			t := unix.Timespec{Nsec: 3e6}
			_ = unix.Nanosleep(&t, nil)
		})
	}
	wg.Wait()
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// ignoreChildren has the kernel reap all children.
func ignoreChildren() { signal.Ignore(unix.SIGCHLD) }

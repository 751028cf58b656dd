package kernel

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A probe that changes a process runs in a child that is made by clone3(2) and does nothing
// but a list of system calls, in assembly: it needs no helper program, no single-threaded
// caller, and shares no state with the Go runtime.

// call is one system call of such a child.
type call struct {
	name   string
	number uintptr
	args   []any
	how    uint64
	asked  bool // its errno is the answer; that of any other only says that nothing was asked
}

// do is a call that prepares, ask one whose errno answers.
func do(name string, number uintptr, args ...any) call {
	return call{name: name, number: number, args: args}
}

func ask(name string, number uintptr, args ...any) call {
	return call{name: name, number: number, args: args, asked: true}
}

// cloneArgs is struct clone_args of clone3(2) as of 5.7.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal     uint64
	stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

//go:noescape
func spawn(args *cloneArgs, size uintptr, first *step, count uintptr) (pid, errno uintptr)

// unasked is the failure of a step that is not the question. It hides the errno from
// errors.As, so that refused takes it for no answer.
type unasked struct {
	name string
	err  error
}

func (u *unasked) Error() string { return fmt.Sprintf("cannot ask: %s: %v", u.name, u.err) }

// child is a process that runs calls. It dies with the thread that made it, which must stay
// locked until close.
type child struct {
	arena *arena
	calls []call
	pid   int
	pidfd int
}

// start makes a child with the namespaces and other flags given. It shares memory with its
// parent, so that the cost does not depend on the parent's size, unless fork is asked for:
// a child that changes its user must not, since that makes the shared memory undumpable,
// nor one that may die of a signal, since its core dump takes all sharers along until Linux commit 0258b5fd7c71.
func start(flags, cgroup uint64, fork bool, calls ...call) (_ *child, err error) {
	a, err := newArena()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.free())
		}
	}()
	first := do("prctl", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, int(unix.SIGKILL))
	c := &child{arena: a, calls: append([]call{first}, calls...)}
	for _, one := range c.calls {
		if err := a.add(one); err != nil {
			return nil, err
		}
	}
	slot, err := a.put(make([]byte, 8))
	if err != nil {
		return nil, err
	}
	args := cloneArgs{flags: flags | unix.CLONE_PIDFD, pidfd: uint64(slot), cgroup: cgroup}
	if !fork {
		args.flags |= unix.CLONE_VM
		args.stack = uint64(uintptr(unsafe.Pointer(&a.memory[arenaSize-stackSize])))
		args.stackSize = stackSize
	}
	pid, errno := c.clone(&args)
	if errno == unix.ENOSYS {
		return nil, &unasked{name: "clone3", err: errno} // old kernel, or a seccomp filter's answer
	}
	if errno != 0 {
		return nil, fmt.Errorf("clone3: %w", errno)
	}
	c.pid = pid
	c.pidfd = int(*(*int32)(unsafe.Pointer(&a.memory[slot-uintptr(unsafe.Pointer(&a.memory[0]))])))
	return c, nil
}

// clone blocks all signals around clone3, so that no handler of Go ever runs in the child.
func (c *child) clone(args *cloneArgs) (int, unix.Errno) {
	all, old := ^uint64(0), uint64(0)
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0, 0); errno != 0 {
		return 0, errno
	}
	pid, errno := spawn(args, unsafe.Sizeof(*args), c.arena.step(0), uintptr(c.arena.steps))
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
	return int(pid), unix.Errno(errno)
}

// wait waits for the child's end, or, with WSTOPPED, for its stop.
func (c *child) wait(options int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(c.pid, &status, options|unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			return status, err
		}
	}
}

// close kills the child if it still is, reaps it and frees what it had.
func (c *child) close(ended bool) error {
	var errs []error
	if !ended {
		// By its number, which stays its own until it is reaped: pidfd_send_signal may be
		// what is being asked about, and a child left alive would be waited for without end.
		errs = append(errs, unix.Kill(c.pid, unix.SIGKILL))
		for {
			status, err := c.wait(0)
			if err != nil {
				return errors.Join(append(errs, err)...) // the memory stays: somebody may run on it
			}
			if !status.Stopped() {
				break
			}
		}
	}
	return errors.Join(append(errs, unix.Close(c.pidfd), c.arena.free())...)
}

// answer says how the calls went: nil if all succeeded, the errno of an asked one that did
// not, and otherwise an error that holds no errno.
func (c *child) answer(status unix.WaitStatus) error {
	for i, one := range c.calls {
		s := c.arena.step(i)
		switch {
		case s.ran == 0 && status.Signaled():
			return &killedError{name: one.name, signal: status.Signal(), asked: one.asked}
		case s.ran == 0:
			return fmt.Errorf("cannot ask: the child ended before %s", one.name)
		case s.result < 0 && s.result >= -4095 && one.asked:
			return fmt.Errorf("%s: %w", one.name, unix.Errno(-s.result))
		case s.result < 0 && s.result >= -4095:
			return &unasked{name: one.name, err: unix.Errno(-s.result)}
		}
	}
	return nil
}

// killedError says that a call ended its process by a signal.
type killedError struct {
	name   string
	signal os.Signal
	asked  bool
}

func (k *killedError) Error() string { return fmt.Sprintf("%s: killed by %v", k.name, k.signal) }

// inChild runs calls in a child that shares memory; inFork in one with its own, see start.
func inChild(flags uint64, calls ...call) error { return run(flags, 0, false, calls...) }

func inFork(flags uint64, calls ...call) error { return run(flags, 0, true, calls...) }

func run(flags, cgroup uint64, fork bool, calls ...call) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := start(flags, cgroup, fork, calls...)
	if err != nil {
		return err
	}
	status, err := c.wait(0)
	if err != nil { // ECHILD: another thread has reaped it
		return errors.Join(fmt.Errorf("wait for a child: %w", err), c.close(true))
	}
	return errors.Join(c.answer(status), c.close(true))
}

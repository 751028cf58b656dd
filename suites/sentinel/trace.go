package sentinel

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// systemCall is one call of the attacker's main thread and the kernel's answer, as a tracer on
// the host saw them: what a filter has done is in it, whatever the attacker says.
type systemCall struct {
	number uint64
	args   [6]uint64
	result int64 // negative errno
}

// maxTraced bounds what a tracer keeps of a flood.
const maxTraced = 4096

// tracer is ptrace(2) on the main thread of an attacker: attacks run in it, since the attacker
// takes over while its packages are initialised.
type tracer struct {
	pid   int
	calls []systemCall
	done  chan struct{}
	err   error
}

// traced completes a watch: look decides by the calls that the attacker made between its start
// and its first message.
func (s *Stage) traced(w *Watch, look func(calls []systemCall, r attack.Record) (Finding, error)) *Watch {
	var t *tracer
	w.Ready = func(_ context.Context, a *Subject) error {
		t = &tracer{pid: a.PID, done: make(chan struct{})}
		attached := make(chan error, 1)
		go func() {
			defer close(t.done)
			t.err = kernel.OnThread(func() error { return t.follow(attached) }) // a tracer is a thread
		}()
		return <-attached
	}
	w.Look = func(ctx context.Context, _ *Subject, r attack.Record) (Finding, error) {
		select {
		case <-t.done:
		case <-ctx.Done():
			return Finding{}, ctx.Err()
		}
		if t.err != nil {
			return Finding{}, t.err
		}
		return look(t.calls, r)
	}
	return w
}

// follow attaches, reports that, and notes calls until the attacker speaks or ends.
func (t *tracer) follow(attached chan<- error) error {
	err := t.attach()
	attached <- err
	if err != nil {
		return nil //nolint:nilerr // told
	}
	var entry syscallInfo
	for {
		stopped, stop, err := t.wait()
		if err != nil || !stopped {
			return err
		}
		deliver := 0
		switch signal, event := stop&0xff, stop>>8; {
		case stop == int(unix.SIGTRAP)|syscallStop:
			info, err := t.info()
			if err != nil {
				return err
			}
			switch info.op {
			case syscallEntry:
				entry = info
				if number, args := entry.entry(); number == unix.SYS_WRITE && args[0] == 1 {
					return t.detach()
				}
			case syscallExit:
				number, args := entry.entry()
				if len(t.calls) < maxTraced {
					t.calls = append(t.calls, systemCall{number: number, args: args, result: int64(info.words[0])})
				}
			}
		case signal == int(unix.SIGSYS) && len(t.calls) > 0:
			t.calls[len(t.calls)-1].result = -int64(trapped) // and the attacker goes on
		case event == 0:
			deliver = signal
		}
		if err := unix.PtraceSyscall(t.pid, deliver); err != nil {
			return fmt.Errorf("trace the attacker: %w", err)
		}
	}
}

// syscallStop is in the status of a stop at a system call under PTRACE_O_TRACESYSGOOD.
const syscallStop = 0x80

func (t *tracer) attach() error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(t.pid), 0, unix.PTRACE_O_TRACESYSGOOD, 0, 0)
	if errno == unix.EPERM {
		return kernel.Unsupported("tracing the attacker: %v: this host lets nobody trace", errno)
	}
	if errno != 0 {
		return fmt.Errorf("trace the attacker: %w", errno)
	}
	if err := unix.PtraceInterrupt(t.pid); err != nil {
		return fmt.Errorf("trace the attacker: %w", err)
	}
	stopped, _, err := t.wait()
	if err == nil && !stopped {
		err = errors.New("it has ended")
	}
	if err == nil {
		err = unix.PtraceSyscall(t.pid, 0)
	}
	if err != nil {
		return fmt.Errorf("trace the attacker: %w", err)
	}
	return nil
}

func (t *tracer) detach() error {
	if err := unix.PtraceDetach(t.pid); err != nil {
		return fmt.Errorf("let go of the attacker: %w", err)
	}
	return nil
}

// wait waits for the next stop and returns signal and event. The end of the attacker is not
// taken from who waits for it (WNOWAIT).
func (t *tracer) wait() (stopped bool, stop int, err error) {
	// siginfo_t of a SIGCHLD, as waitid(2) fills it.
	var info struct {
		signo, errno, code int32
		_                  int32
		pid                int32
		uid                uint32
		status             int32
		_                  [100]byte
	}
	for {
		err := unix.Waitid(unix.P_PID, t.pid, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT|unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD): // ended and reaped
			return false, 0, nil
		case err != nil:
			return false, 0, fmt.Errorf("wait for a stop of the attacker: %w", err)
		}
		const trapped = 4 // CLD_TRAPPED
		return info.code == trapped, int(info.status), nil
	}
}

// syscallInfo is struct ptrace_syscall_info of linux/ptrace.h.
type syscallInfo struct {
	op       uint8
	_        [3]uint8
	arch     uint32
	pc, sp   uint64
	words    [8]uint64 // entry: number, then arguments; exit: the result, then whether it is an error
	reserved uint64
}

const (
	syscallEntry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	syscallExit  = 2 // PTRACE_SYSCALL_INFO_EXIT
)

func (i *syscallInfo) entry() (number uint64, args [6]uint64) {
	copy(args[:], i.words[1:])
	return i.words[0], args
}

func (t *tracer) info() (i syscallInfo, err error) {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(t.pid), unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0)
	if errno != 0 {
		return i, fmt.Errorf("ask for the attacker's system call: %w", errno)
	}
	return i, nil
}

const (
	maxErrno = 4095
	// trapped stands for SIGSYS in place of an answer: a number that no error has.
	trapped unix.Errno = maxErrno
)

func (c *systemCall) errno() unix.Errno {
	if c.result < 0 && c.result >= -maxErrno {
		return unix.Errno(-c.result)
	}
	return 0
}

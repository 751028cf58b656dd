package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

var processHostAttacks = []Attack{
	PidfdOpen,
	TraceHost,
	ProcView,
	SenderHidden,
	RetuneHost,
	StealFD,
}

// PidfdOpen opens a pidfd of Target.PID, and signals through the one that it was passed.
var PidfdOpen = Attack{Name: "process.pidfd-open", Run: func(a *Attempt) {
	fd, err := unix.PidfdOpen(a.Target.PID, 0)
	if a.Try(fmt.Sprintf("pidfd_open %d", a.Target.PID), err) {
		a.Try("pidfd_send_signal SIGUSR1", unix.PidfdSendSignal(fd, unix.SIGUSR1, nil, 0))
	}
	for _, fd := range a.Inherited() {
		a.Try("pidfd_send_signal SIGUSR2 by an inherited pidfd", unix.PidfdSendSignal(fd, unix.SIGUSR2, nil, 0))
	}
}}

// TraceHost traces Target.PID, reads Target.Bytes bytes of its memory at the address that
// Target.Extra gives in decimal, and compares it with itself. It holds while it traces.
var TraceHost = Attack{Name: "process.trace-host", Run: func(a *Attempt) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	pid := a.Target.PID
	address, err := strconv.ParseUint(a.Target.Extra, 10, 64)
	if err != nil {
		return
	}
	secret := make([]byte, a.Target.Bytes)
	local := []unix.Iovec{{Base: &secret[0], Len: uint64(len(secret))}}
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: len(secret)}}
	if _, err := unix.ProcessVMReadv(pid, local, remote, 0); a.Try(fmt.Sprintf("process_vm_readv %d", pid), err) {
		a.Saw(string(secret))
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if a.Try(fmt.Sprintf("open /proc/%d/mem", pid), err) {
		defer mem.Close() //nolint:errcheck // read-only
		if _, err := mem.ReadAt(secret, int64(address)); a.Try("read mem", err) {
			a.Saw(string(secret))
		}
	}
	_, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(os.Getpid()), KcmpVM, 0, 0, 0)
	a.Try(fmt.Sprintf("kcmp %d", pid), asError(errno))
	seized := a.Try(fmt.Sprintf("ptrace PTRACE_SEIZE %d", pid), unix.PtraceSeize(pid))
	a.Hold("traced")
	if seized {
		// A tracee in group-stop is not stopped for us, so this may fail; our end detaches too.
		_ = unix.PtraceDetach(pid)
	}
}}

// KcmpVM is KCMP_VM of linux/kcmp.h: do both have the same memory?
const KcmpVM = 1

// ProcView looks through every process that /proc shows for one that has Target.Name in its
// arguments or environment, and returns that text alone.
var ProcView = Attack{Name: "process.proc-view", Run: func(a *Attempt) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err == nil && len(dirs) == 0 {
		err = unix.ENOENT
	}
	if !a.Try("list /proc", err) {
		return
	}
	a.Fact("processes", len(dirs))
	for _, dir := range dirs {
		for _, name := range []string{"comm", "cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && strings.Contains(string(b), a.Target.Name) {
				a.Try("read "+filepath.Join(dir, name), nil)
				a.Saw(string(b))
			}
		}
	}
}}

// SenderThread is the name of the thread that waits for SenderHidden's signal.
const SenderThread = "cellwall-wait"

// SenderHidden waits on a thread named SenderThread for a SIGUSR1 and returns who sent it.
var SenderHidden = Attack{Name: "process.sender-hidden", Run: func(a *Attempt) {
	runtime.LockOSThread() // and never unlock: the thread has a name and a mask of its own
	name, err := unix.BytePtrFromString(SenderThread)
	if err != nil {
		return
	}
	if !a.Try("name a thread", unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0)) {
		return
	}
	var set unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGUSR1 - 1)
	if !a.Try("block SIGUSR1", unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)) {
		return
	}
	a.Hold("waiting")
	// siginfo_t of linux/siginfo.h: signo, errno, code, padding, then the sender's pid.
	var info [128]byte
	limit := unix.Timespec{Sec: 5}
	_, _, errno := unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)),
		uintptr(unsafe.Pointer(&info[0])), uintptr(unsafe.Pointer(&limit)), unsafe.Sizeof(set.Val[0]), 0, 0)
	if a.Try("wait for SIGUSR1", asError(errno)) {
		a.Fact("si_pid", *(*int32)(unsafe.Pointer(&info[16])))
	}
}}

// RetuneHost changes limits, affinity, policy, niceness and I/O priority of Target.PID and of all
// processes of the host uid Target.UID, which are the same one; first as itself, then with that
// uid where it may take it.
var RetuneHost = Attack{Name: "process.retune-host", Run: func(a *Attempt) {
	uid := id(a.Target.UID)
	a.retune(a.Target.PID, uid, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread ends with the uid it has taken
		who := uintptr(uid)
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, who, who, who)
		a.Try("setresgid of the sentinel", asError(errno))
		_, _, errno = unix.RawSyscall(unix.SYS_SETRESUID, who, who, who)
		if a.Try("setresuid of the sentinel", asError(errno)) {
			a.retune(a.Target.PID, uid, 7)
		}
	}()
	<-done
}}

// Arguments of ioprio_set(2), of linux/ioprio.h.
const (
	ioprioProcess    = 1
	ioprioUser       = 3
	ioprioBestEffort = 2 << 13
)

func (a *Attempt) retune(pid, uid, nice int) {
	limit := unix.Rlimit{Cur: uint64(100 + nice), Max: 200}
	a.Try(fmt.Sprintf("prlimit %d RLIMIT_NOFILE", pid), unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil))
	var one unix.CPUSet
	one.Set(0)
	a.Try(fmt.Sprintf("sched_setaffinity %d", pid), unix.SchedSetaffinity(pid, &one))
	const batch = 3 // SCHED_BATCH
	var priority int32
	_, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(pid), batch, uintptr(unsafe.Pointer(&priority)))
	a.Try(fmt.Sprintf("sched_setscheduler %d", pid), asError(errno))
	a.Try(fmt.Sprintf("setpriority PRIO_PROCESS %d", pid), unix.Setpriority(unix.PRIO_PROCESS, pid, nice))
	_, _, errno = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioProcess, uintptr(pid), uintptr(ioprioBestEffort|nice))
	a.Try(fmt.Sprintf("ioprio_set IOPRIO_WHO_PROCESS %d", pid), asError(errno))
	a.Try(fmt.Sprintf("setpriority PRIO_USER %d", uid), unix.Setpriority(unix.PRIO_USER, uid, nice+1))
	_, _, errno = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioUser, uintptr(uid), uintptr(ioprioBestEffort|nice))
	a.Try(fmt.Sprintf("ioprio_set IOPRIO_WHO_USER %d", uid), asError(errno))
}

// StealFD takes descriptor Target.FD out of the process behind the pidfd that it was passed, and
// reads it.
var StealFD = Attack{Name: "process.steal-fd", Run: func(a *Attempt) {
	for _, pidfd := range a.Inherited() {
		fd, err := unix.PidfdGetfd(pidfd, a.Target.FD, 0)
		if !a.Try("pidfd_getfd by an inherited pidfd", err) {
			continue
		}
		b := make([]byte, 128)
		n, err := unix.Pread(fd, b, 0)
		if a.Try("read the descriptor", err) {
			a.Saw(string(b[:n]))
		}
	}
}}

package attack

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

var filterAttacks = []Attack{
	ManyThreads, threadsChild,
	LoosenFilter, loosenChild,
	KillRule, killChild,
	OtherABI,
	NewNamespaces,
	Ring,
}

// speaker is a child that says one line when it has done what it is for, and then waits for the
// end of its input. One that was killed on the way says nothing.
type speaker struct {
	cmd     *exec.Cmd
	release *os.File
	spoke   bool
}

// speak starts a child and waits until it has spoken, or has ended.
func (a *Attempt) speak(attack Attack) (*speaker, error) {
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inRead.Close() //nolint:errcheck // the child has its own
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		_ = inWrite.Close()
		return nil, err
	}
	defer outRead.Close() //nolint:errcheck // read-only
	s := &speaker{cmd: a.Again(attack), release: inWrite}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = inRead, outWrite, os.Stderr
	err = s.cmd.Start()
	_ = outWrite.Close() // the child has its own, so that its end is seen
	if err != nil {
		_ = inWrite.Close()
		return nil, err
	}
	n, _ := io.ReadFull(outRead, make([]byte, 1))
	s.spoke = n == 1
	return s, nil
}

func (s *speaker) end() {
	_ = s.release.Close()
	_ = s.cmd.Wait()
}

// spoken is the child's side.
func spoken() {
	_, _ = os.Stdout.WriteString("\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// holdWith tells the harness how it went with the child: "spoke" or "silent".
func (a *Attempt) holdWith(spoke bool) {
	if spoke {
		a.Hold("spoke")
		return
	}
	a.Hold("silent")
}

// filterThreads is how many threads ManyThreads has at least, and its child too.
const filterThreads = 4

func startThreads() (stop func()) {
	release := make(chan struct{})
	started := make(chan struct{})
	for range filterThreads {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			<-release
		}()
	}
	for range filterThreads {
		<-started
	}
	return func() { close(release) }
}

// ManyThreads is there with several threads, and with a child that has them too, made by execve.
var ManyThreads = Attack{Name: "syscall.filter-active", Run: func(a *Attempt) {
	stop := startThreads()
	defer stop()
	child, err := a.speak(threadsChild)
	if !a.Try("execute a child with threads", err) {
		return
	}
	defer child.end()
	a.holdWith(child.spoke)
}}

var threadsChild = Attack{Name: "syscall.filter-active/child", Run: func(*Attempt) {
	stop := startThreads()
	defer stop()
	spoken()
}}

// LoosenFilter tries to take its filter off and adds one that allows everything; then it and a
// child that it executes make a call that the profile denies.
var LoosenFilter = Attack{Name: "syscall.filter-irrevocable", Run: func(a *Attempt) {
	const modeDisabled = 0 // SECCOMP_MODE_DISABLED
	a.Try("prctl PR_SET_SECCOMP 0", unix.Prctl(unix.PR_SET_SECCOMP, modeDisabled, 0, 0, 0))
	allow := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	program := unix.SockFprog{Len: uint16(len(allow)), Filter: &allow[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	a.Try("add a filter that allows everything", asError(errno))
	a.call(noRandomize)
	child, err := a.speak(loosenChild)
	if !a.Try("execute a child", err) {
		return
	}
	defer child.end()
	a.holdWith(child.spoke)
}}

// noRandomize is a call that the profile denies and that shows in /proc/PID/personality.
var noRandomize = Call{Name: "personality ADDR_NO_RANDOMIZE", Number: unix.SYS_PERSONALITY, Args: [6]uintptr{AddrNoRandomize}}

var loosenChild = Attack{Name: "syscall.filter-irrevocable/child", Run: func(a *Attempt) {
	a.call(noRandomize)
	spoken()
}}

// KillRule has a child make, from a thread that is not its first, the call get_mempolicy.
var KillRule = Attack{Name: "syscall.kill-action", Run: func(a *Attempt) {
	child, err := a.speak(killChild)
	if !a.Try("start a child that makes the call", err) {
		return
	}
	defer child.end()
	a.holdWith(child.spoke)
}}

var killChild = Attack{Name: "syscall.kill-action/child", Run: func(a *Attempt) {
	done := make(chan struct{})
	// The attack is on the first thread, so that a goroutine locked beside it is on another.
	go func() {
		runtime.LockOSThread()
		a.call(Call{Name: "get_mempolicy", Number: unix.SYS_GET_MEMPOLICY})
		close(done)
	}()
	<-done
	spoken()
}}

// ABIUmask is what OtherABI sets its child's umask to: it shows in /proc/PID/status.
const ABIUmask = 0o123

// OtherABI has a child call umask by the i386 ABI, and holds at "spoke" if the call has returned.
var OtherABI = Attack{Name: "syscall.i386-abi", Run: func(a *Attempt) {
	read, write, err := os.Pipe()
	if !a.Try("make a pipe", err) {
		return
	}
	defer read.Close() //nolint:errcheck // read-only
	pid, errno := int80Beside(write.Fd())
	_ = write.Close() // the child has its own, so that its end is seen
	if !a.Try("start a child that enters by int 0x80", asError(errno)) {
		return
	}
	n, _ := io.ReadFull(read, make([]byte, 1))
	a.holdWith(n == 1)
	_ = unix.Kill(int(pid), unix.SIGKILL)
	_, _ = unix.Wait4(int(pid), nil, 0, nil)
}}

// int80Beside makes a child that sets its umask by the i386 ABI, writes a byte and waits to be
// killed. Only the calling thread exists in it: a filter may kill no more than the thread.
//
//go:nosplit
//go:norace
func int80Beside(out uintptr) (uintptr, unix.Errno) {
	const umask = 60 // arch/x86/entry/syscalls/syscall_32.tbl
	var b [1]byte
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	int80(umask, ABIUmask)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, out, uintptr(unsafe.Pointer(&b)), 1)
	for {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// NewNamespaces makes a child by clone3 whose structure asks for new user and mount namespaces.
var NewNamespaces = Attack{Name: "syscall.clone3", Run: func(a *Attempt) {
	pid, errno := rawClone3(unix.CLONE_NEWUSER | unix.CLONE_NEWNS)
	if !a.Try("clone3 CLONE_NEWUSER CLONE_NEWNS", asError(errno)) {
		a.Hold("refused")
		return
	}
	a.Hold("child " + strconv.Itoa(int(pid)))
	_ = unix.Kill(int(pid), unix.SIGKILL)
	_, _ = unix.Wait4(int(pid), nil, 0, nil)
}}

// rawClone3 makes a child that waits to be killed. Only the calling thread exists in it, so it
// does nothing that needs the Go runtime.
//
//go:nosplit
//go:norace
func rawClone3(flags uint64) (uintptr, unix.Errno) {
	args := tidArgs{flags: flags, exitSignal: uint64(unix.SIGCHLD)}
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	for {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

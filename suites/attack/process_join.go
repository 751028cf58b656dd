package attack

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// JoinNamespaces enters, in children with one thread, the namespaces behind the descriptors that it
// was passed; Target.Paths names them in order, and a "pidfd", which has a child of its own, means
// all of a process. It holds while the children are there.
var JoinNamespaces = Attack{Name: "process.join-namespaces", Run: func(a *Attempt) {
	fds := a.Inherited()
	if len(fds) != len(a.Target.Paths) {
		return
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWCGROUP
	var names [2][]string
	var calls [2][]rawCall
	for i, name := range a.Target.Paths {
		child, flags := 0, uintptr(0)
		if name == "pidfd" {
			child, flags = 1, all
		}
		names[child] = append(names[child], name)
		calls[child] = append(calls[child], rawCall{number: unix.SYS_SETNS, first: uintptr(fds[i]), second: flags})
	}
	for i := range calls {
		f, err := fork(0, calls[i]...)
		if !a.Try("fork", err) {
			return
		}
		defer f.end() //nolint:errcheck // it is our child
		for n, name := range names[i] {
			a.Try("setns "+name, asError(f.errnos[n]))
		}
	}
	a.Hold("joined")
}}

// NamespaceOwner is a neighbour that has, as the user Target.UID, a child in a user namespace of
// that user's and with a time namespace for its own children. It says the child's pid, and what the
// kernel answered for both.
var NamespaceOwner = Attack{Name: "process.join-namespaces/owner", Run: func(a *Attempt) {
	runtime.LockOSThread() // and never unlock: the thread has another uid
	const noFixup = 1 << 2 // SECBIT_NO_SETUID_FIXUP: capabilities stay, which some hosts ask for
	err := unix.Prctl(unix.PR_SET_SECUREBITS, noFixup, 0, 0, 0)
	who := uintptr(a.Target.UID)
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if err == nil {
			_, _, errno := unix.RawSyscall(call, who, who, who)
			err = asError(errno)
		}
	}
	if err != nil {
		say(err)
		return
	}
	child, err := fork(0, rawCall{number: unix.SYS_UNSHARE, first: unix.CLONE_NEWUSER}, rawCall{number: unix.SYS_UNSHARE, first: unix.CLONE_NEWTIME})
	if err != nil {
		say(err)
		return
	}
	fmt.Println(strings.Trim(fmt.Sprint(child.pid, int(child.errnos[0]), int(child.errnos[1])), "[]"))
	_, _ = os.Stdin.Read(make([]byte, 1))
	_ = child.end()
}}

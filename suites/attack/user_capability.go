package attack

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var userCapabilityAttacks = []Attack{
	CapabilitySets,
	InheritableEmpty,
	NoNewPrivs,
	NestedUserns,
	RlimitRaise,
}

// withFamily runs f with children to be, and ends those afterwards.
func (a *Attempt) withFamily(f func(*family)) {
	fam, err := newFamily()
	if !a.Try("make pipes", err) {
		return
	}
	f(fam)
	_ = fam.end() // their own exit statuses say nothing
}

// CapabilitySets holds with more threads, a child, and a child that executed Target.Path of the
// root directory, to which a file capability belongs.
var CapabilitySets = Attack{Name: "user.capability-sets", Run: func(a *Attempt) {
	const threads = 2
	end, started := make(chan struct{}), make(chan struct{})
	for range threads {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			<-end
		}()
		<-started
	}
	defer close(end)
	a.withFamily(func(f *family) {
		a.Try("start a child", f.start(a.Again(waiting)))
		a.Try("execute a file with a capability", f.startHelper(a.Inside(a.Target.Path)))
		a.Hold("sets")
	})
}}

// InheritableEmpty raises the ambient capability Target.Count as uid 1000 where it may become
// that, and holds with a child that was executed so.
var InheritableEmpty = Attack{Name: "user.inheritable-empty", Run: func(a *Attempt) {
	runtime.LockOSThread() // and never unlock: the thread has another uid and other capabilities
	const nobody = 1000
	a.Try("prctl PR_SET_KEEPCAPS", unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0))
	_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody)
	a.Try("setresuid 1000", asError(errno))
	// An ambient capability must be inheritable already, prctl(2).
	a.Try("prctl PR_CAP_AMBIENT_RAISE", unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(a.Target.Count), 0, 0))
	a.withFamily(func(f *family) {
		a.Try("start a child", f.start(a.Again(waiting)))
		a.Hold("executed")
	})
}}

// NoNewPrivs executes the programs Target.Paths of the root directory, which give other ids and
// capabilities, and holds while they wait.
var NoNewPrivs = Attack{Name: "user.no-new-privs", Run: func(a *Attempt) {
	a.Try("prctl PR_SET_NO_NEW_PRIVS 0", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))
	a.withFamily(func(f *family) {
		for _, path := range a.Target.Paths {
			a.Try("execute "+path, f.startHelper(a.Inside(path)))
		}
		a.Hold("helpers")
	})
}}

// NestedUserns makes children in user namespaces of their own and holds while they wait. It
// cannot enter one itself: that takes a process of one thread.
var NestedUserns = Attack{Name: "user.nested-userns", Run: func(a *Attempt) {
	a.withFamily(func(f *family) {
		for _, how := range []struct {
			call string
			attr syscall.SysProcAttr
		}{
			{"clone CLONE_NEWUSER", syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}},
			{"unshare CLONE_NEWUSER", syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWUSER}},
		} {
			cmd := a.Again(waiting)
			cmd.SysProcAttr = &how.attr
			a.Try(how.call, f.start(cmd))
		}
		a.Hold("children")
	})
}}

// RlimitRaise raises each of its hard limits by one, by both calls, and holds.
var RlimitRaise = Attack{Name: "user.rlimit-raise", Run: func(a *Attempt) {
	const limits = 16 // RLIM_NLIMITS of asm-generic/resource.h
	for resource := range limits {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil || now.Max == unix.RLIM_INFINITY {
			continue
		}
		more := unix.Rlimit{Cur: now.Cur, Max: now.Max + 1}
		a.Try(fmt.Sprintf("setrlimit %d", resource), setrlimit(resource, &more))
		a.Try(fmt.Sprintf("prlimit %d", resource), unix.Prlimit(0, resource, &more, nil))
	}
	a.Hold("raised")
}}

// setrlimit is the call itself: the library's keeps limits on descriptors to itself.
func setrlimit(resource int, limit *unix.Rlimit) error {
	_, _, errno := unix.Syscall(unix.SYS_SETRLIMIT, uintptr(resource), uintptr(unsafe.Pointer(limit)), 0)
	return asError(errno)
}

// useHard raises the attacker's soft limit to its hard one, as everybody may: the hard one is the wall.
// Where that fails the attack is tried below it.
func useHard(resource int) {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err == nil {
		now.Cur = now.Max
		_ = setrlimit(resource, &now)
	}
}

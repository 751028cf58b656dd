package attack

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// cloneIdle makes a thread that waits until its process ends and needs no stack; in the caller
// it returns what clone(2) does.
//
//go:noescape
func cloneIdle(flags uintptr) uintptr

// thread makes one thread that the Go runtime does not know.
func thread() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return err
	}
	const flags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
	r := int(cloneIdle(flags))
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); err != nil {
		return err
	}
	if r < 0 {
		return unix.Errno(-r)
	}
	return nil
}

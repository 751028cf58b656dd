package sentinel

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs f on a thread that ends with it. It is never the process's first, which cannot end
// and whose namespaces /proc/self shows.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			err := onThread(f) // on another, since this one is taken
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- f() // and never unlock
	}()
	return <-done
}

// startLasting starts a program from a thread that lasts until the program is gone: its parent-death
// signal comes when the thread ends that made it (prctl(2), PR_SET_PDEATHSIG), and threads that have
// entered a namespace are thrown away.
func startLasting(cmd *exec.Cmd, gone <-chan struct{}) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			<-gone
		}
	}()
	return <-started
}

package sentinel

import (
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

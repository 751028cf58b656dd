package kernel

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// EnterMounts takes the calling thread into the mount namespace of a file. The thread cannot leave it
// again: see ThrowAway.
func EnterMounts(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	defer file.Close() //nolint:errcheck // read-only
	// setns(2): the thread must not share its root and working directory with another.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	return nil
}

// ThrowAway calls f on a thread that ends with the calling goroutine. It is never the process's
// first: that one cannot end, and /proc/self shows the namespaces that it is in.
func ThrowAway(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ThrowAway(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// OnThread calls f on a thread to throw away, and returns what it returns.
func OnThread(f func() error) error {
	done := make(chan error, 1)
	go ThrowAway(func() { done <- f() })
	return <-done
}

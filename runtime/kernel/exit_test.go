package kernel_test

import (
	"errors"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// TestExitStatus asks for a process that runs, one that nobody has waited for, and one that is gone.
func TestExitStatus(t *testing.T) {
	for script, want := range map[string]func(unix.WaitStatus) bool{
		"read x; exit 3":     func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 3 },
		"read x; exit 0":     func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 0 },
		"read x; kill -9 $$": func(s unix.WaitStatus) bool { return s.Signaled() && s.Signal() == unix.SIGKILL },
	} {
		t.Run(script, func(t *testing.T) {
			cmd := exec.Command("/bin/sh", "-c", script)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pid := cmd.Process.Pid
			pidfd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pidfd)
			if _, err := kernel.ExitStatus(pid, pidfd); !errors.Is(err, kernel.ErrRunning) {
				t.Errorf("while it runs: %v, want ErrRunning", err)
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1); err != nil {
				t.Fatal(err)
			}
			status, err := kernel.ExitStatus(pid, pidfd)
			if err != nil || !want(status) {
				t.Errorf("before it is waited for: status %#x, error %v", status, err)
			}
			_ = cmd.Wait() // its status is asked for below
			status, err = kernel.ExitStatus(pid, pidfd)
			if errors.Is(err, kernel.ErrNotSupported) {
				t.Skipf("after it was waited for: %v", err)
			}
			if err != nil || !want(status) {
				t.Errorf("after it was waited for: status %#x, error %v", status, err)
			}
		})
	}
}

package kernel_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// started starts a program and opens its pidfd, which the test closes at its end.
func started(t *testing.T, cmd *exec.Cmd) (pid, pidfd int) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(pidfd); err != nil {
			t.Error(err)
		}
	})
	return cmd.Process.Pid, pidfd
}

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
			pid, pidfd := started(t, cmd)
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

// TestExitStatusAsItIsReaped asks while the parent waits for the process: the kernel, too, looks twice then.
func TestExitStatusAsItIsReaped(t *testing.T) {
	for range 300 {
		cmd := exec.Command("/bin/sh", "-c", "exit 1") // guests have no more
		pid, pidfd := started(t, cmd)
		waited := make(chan error)
		go func() { waited <- cmd.Wait() }()
		status, err := unix.WaitStatus(0), kernel.ErrRunning
		for errors.Is(err, kernel.ErrRunning) {
			status, err = kernel.ExitStatus(pid, pidfd)
		}
		<-waited
		if _, later := kernel.ExitStatus(pid, pidfd); errors.Is(later, kernel.ErrNotSupported) {
			t.Skipf("after it was waited for: %v", later)
		}
		if err != nil || status.ExitStatus() != 1 {
			t.Fatalf("status %#x, %v", status, err)
		}
	}
}

// stat is a line of /proc/PID/stat with zeros where nobody looks.
func stat(name, state, exitCode string) string {
	return fmt.Sprintf("7 (%s) %s%s %s\n", name, state, strings.Repeat(" 0", 48), exitCode)
}

func TestParseExit(t *testing.T) {
	for _, c := range []struct {
		name, stat string
		want       unix.WaitStatus
		fails      bool
	}{
		{name: "exited", stat: stat("x", "Z", "256"), want: 256},
		{name: "killed by a rule, with a core", stat: stat("x", "Z", "159"), want: 0x80 | unix.WaitStatus(unix.SIGSYS)},
		{name: "killed", stat: stat("x", "Z", "9"), want: unix.WaitStatus(unix.SIGKILL)},
		{name: "a name that looks like the rest", stat: stat("x) Z"+strings.Repeat(" 0", 48)+" 31", "Z", "9"), want: unix.WaitStatus(unix.SIGKILL)},
		{name: "alive", stat: stat("x", "S", "31"), fails: true},
		{name: "on its way out", stat: stat("x", "X", "31"), fails: true},
		{name: "alive with a zombie's name", stat: stat("x) Z (", "S", "31"), fails: true},
		{name: "short", stat: "7 (x) Z 0", fails: true},
		{name: "empty", stat: "", fails: true},
		{name: "no number", stat: stat("x", "Z", "x"), fails: true},
	} {
		got, err := kernel.ParseExit(c.stat)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func FuzzParseExit(f *testing.F) {
	f.Add(stat("x", "Z", "159"))
	f.Add(") Z")
	f.Fuzz(func(t *testing.T, s string) {
		if status, err := kernel.ParseExit(s); err == nil && status > 0xffff {
			t.Errorf("%q ended by %#x", s, status)
		}
	})
}

package core

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReapEndedLeavesStops: a stop belongs to the tracer, though that is a thread of this process.
func TestReapEndedLeavesStops(t *testing.T) {
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true} // it stops as soon as it has been executed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd) //nolint:errcheck // nothing was written
	// Seen, and left to the tracer.
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := reapEnded(pidfd); s != nil || err != nil {
		t.Errorf("of a stopped child: %v, %v, want nothing", s, err)
	}
	var stop unix.WaitStatus
	if got, err := unix.Wait4(pid, &stop, unix.WNOHANG, nil); got != pid || err != nil || !stop.Stopped() {
		t.Errorf("the tracer finds %d, %v, %#x: the stop was taken from it", got, err, stop)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := reapEnded(pidfd); err != nil || s == nil || s.Signal != unix.SIGKILL {
		t.Errorf("of a killed child: %v, %v", s, err)
	}
}

func TestStatusText(t *testing.T) {
	for want, s := range map[string]Status{
		"exit status 3": {Code: 3}, "killed by SIGKILL": {Signal: unix.SIGKILL}, "killed by signal 34": {Signal: 34},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

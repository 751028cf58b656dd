package judge

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"cellwall/suites/sentinel"
)

// TestFindProcess looks for a process by its token beside one that carries the same arguments behind
// its own, as a program does that is to become it.
func TestFindProcess(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	token := sentinel.Token()
	start := func(args ...string) int {
		t.Helper()
		cmd := exec.Command(sh)
		cmd.Args = append(args, token)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		in, err := cmd.StdinPipe() // its end ends the shell
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
		return cmd.Process.Pid
	}
	carrier := start("tool", "-c", "read line", "attacker", "attack", "{}")
	if pid, err := findProcess(token, 0); err == nil {
		t.Errorf("found %d, and only a carrier of the arguments was there: %d", pid, carrier)
	} else if !strings.Contains(err.Error(), "no process") {
		t.Error(err)
	}
	if pid, err := findProcess(token, carrier); err != nil || pid != carrier {
		t.Errorf("with the hint %d: %d, %v", carrier, pid, err)
	}
	attacker := start("attacker", "-c", "read line")
	for _, hint := range []int{0, 1, -5, 1 << 30} {
		if pid, err := findProcess(token, hint); err != nil || pid != attacker {
			t.Errorf("with the hint %d: %d, %v, want %d", hint, pid, err, attacker)
		}
	}
}

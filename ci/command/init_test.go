package command

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// underInit is set for this test's program as the first process of a pid namespace, and for its child.
const underInit = "CELLWALL_TEST_UNDER_INIT"

// TestUnderInit: the first process of a pid namespace passes on its child's exit code, and takes orphans.
func TestUnderInit(t *testing.T) {
	switch {
	case os.Getenv(underInit) == "":
	case os.Getpid() == 1:
		os.Exit(UnderInit())
	default:
		os.Exit(orphanGoes())
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a pid namespace")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestUnderInit$")
	cmd.Env = append(os.Environ(), underInit+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitBreached {
		t.Errorf("%v: %s", err, &out)
	}
}

// orphanGoes makes an orphan and returns exitBreached once it is no zombie any more.
func orphanGoes() int {
	out, err := exec.Command("sh", "-c", "sleep 0.01 >&- 2>&- & echo $!").Output()
	if err != nil {
		return exitUsage
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return exitUsage
	}
	for end := time.Now().Add(10 * time.Second); unix.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return exitInconclusive
		}
	}
	return exitBreached
}

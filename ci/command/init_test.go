package command

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
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
	case os.Getenv(underInit) == "count":
		os.Exit(countInterrupts())
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

// TestUnderInitIsInterrupted: who interrupts the first process alone interrupts its child, also at a terminal.
func TestUnderInitIsInterrupted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a pid namespace")
	}
	master, slave := terminal(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ reads, writes *os.File }{"terminal": {master, slave}, "pipe": {read, write}} {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestUnderInit$")
		cmd.Env = append(os.Environ(), underInit+"=count")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Setsid: true, Setctty: c.writes == slave, Ctty: 1}
		cmd.Stdout, cmd.Stderr = c.writes, c.writes
		if err := errors.Join(cmd.Start(), c.writes.Close()); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewReader(c.reads)
		for _, s := range []os.Signal{os.Interrupt, unix.SIGTERM} {
			for line := ""; !strings.Contains(line, "go on"); {
				if line, err = said.ReadString('\n'); err != nil {
					t.Fatalf("%s: %q, %v", name, line, err)
				}
			}
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Wait() // its status is asked for below
		if n := cmd.ProcessState.ExitCode() - firstCount; n != 1 {
			t.Errorf("%s: interrupted %d times", name, n)
		}
		if err := c.reads.Close(); err != nil {
			t.Error(err)
		}
	}
}

// terminal makes one of the host's.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this host has no pseudo-terminals: %v", err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// firstCount is the exit code of a child that was never interrupted, and none that Go gives.
const firstCount = 10

// countInterrupts counts them until it is asked to end.
func countInterrupts() int {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, unix.SIGTERM)
	for code := firstCount; ; code++ {
		fmt.Println("go on")
		if <-signals == unix.SIGTERM {
			return code
		}
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
	for end := time.Now().Add(10 * time.Second); unix.Kill(pid, 0) == nil; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			return exitInconclusive
		}
	}
	return exitBreached
}

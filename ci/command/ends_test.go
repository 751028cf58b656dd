package command

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnread: a pipe and a socket have a reader or none, and nothing else is unread.
func TestUnread(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if unread(int(write.Fd()), int(null.Fd())) {
		t.Error("a pipe with a reader is unread")
	}
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	if !unread(int(null.Fd()), int(write.Fd())) {
		t.Error("a pipe without a reader is read")
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if unread(pair[0]) {
		t.Error("a socket with a reader is unread")
	}
	if err := unix.Close(pair[1]); err != nil {
		t.Fatal(err)
	}
	if !unread(pair[0]) {
		t.Error("a socket without a reader is read")
	}
	master, slave := terminal(t)
	if err := errors.Join(unix.Close(pair[0]), master.Close()); err != nil {
		t.Fatal(err)
	}
	if unread(int(slave.Fd())) {
		t.Error("a terminal that is gone is unread")
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPipeOfAnother: SIGPIPE of a pipe that is none of our streams ends nothing.
func TestPipeOfAnother(t *testing.T) {
	seen := make(chan os.Signal, 1)
	signal.Notify(seen, unix.SIGPIPE)
	defer signal.Stop(seen)
	ctx := UntilEnd(t.Context())
	for range 2 { // the first is handled before the second is waited for
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := write.WriteString("x"); !errors.Is(err, unix.EPIPE) {
			t.Errorf("write to nobody: %v", err)
		}
		if err := write.Close(); err != nil {
			t.Fatal(err)
		}
		<-seen
	}
	if ctx.Err() != nil {
		t.Error("it ends")
	}
	signal.Reset(Ends()...)
}

// heeded has children not ignore a signal that was ignored when the test began, as below nohup(1) and in the background
// of a shell: what is caught here has its default action there.
func heeded(t *testing.T, signals ...os.Signal) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	t.Cleanup(func() { signal.Stop(caught) })
}

// TestEndedBy: run and exec that a signal ends have the exit code that a shell gives for it.
func TestEndedBy(t *testing.T) {
	program := build(t)
	heeded(t, unix.SIGHUP, unix.SIGINT)
	id := fmt.Sprintf("ended-%d", os.Getpid())
	start := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, append(args, "--", "sh", "-c", "echo up; exec sleep 100")...)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if said, err := bufio.NewReader(out).ReadString('\n'); said != "up\n" {
			t.Fatalf("%v says %q, %v", args, said, err)
		}
		return cmd
	}
	run := start("run", "--id", id, "--from-host", "sh,sleep")
	for _, c := range []struct {
		cmd *exec.Cmd
		by  unix.Signal
	}{{start("exec", id), unix.SIGTERM}, {start("exec", id), unix.SIGINT}, {run, unix.SIGHUP}} {
		if err := c.cmd.Process.Signal(c.by); err != nil {
			t.Fatal(err)
		}
		_ = c.cmd.Wait()
		if code := c.cmd.ProcessState.ExitCode(); code != 128+int(c.by) {
			t.Errorf("%v by %v: exit status %d", c.cmd.Args[1:3], c.by, code)
		}
	}
}

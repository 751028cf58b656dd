package core_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

const launching = "cellwall-launching"

// ways are the ways in which a thread comes to make a container.
var ways = []struct {
	name    string
	options core.Options
	edit    func(*specs.Spec)
}{
	{name: "plain"},
	{name: "from another mount namespace", options: core.Options{From: "/proc/self/ns/mnt"}},
	{name: "prepared", options: core.Options{Prepare: func() error { return nil }}},
	{name: "in an existing pid namespace", edit: func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.PIDNamespace {
				n.Path = "/proc/self/ns/pid"
			}
		}
	}},
}

// launch is the program of TestDiesWithLauncher: it starts containers below a root directory, and a
// process that joins one, says their pids, and waits to be killed.
func launch(root string) error {
	l, err := core.NewLauncher(core.LauncherOptions{})
	if err != nil {
		return err
	}
	var c *core.Container
	for _, w := range ways {
		s := spec.New(spec.Namespaces, spec.Options{Rootfs: root, Args: []string{program, "wait"}})
		if w.edit != nil {
			w.edit(s)
		}
		o := w.options
		o.Spec, o.Stdin = s, os.Stdin
		if c, err = l.Create(context.Background(), "dies", o); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if err := c.Start(context.Background()); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Println(c.Pid())
	}
	joined := spec.New(spec.Namespaces, spec.Options{Rootfs: root, Args: []string{program, "wait"}})
	p, err := c.Exec(context.Background(), joined.Process, os.Stdin, nil, nil)
	if err != nil {
		return err
	}
	fmt.Println(p.Pid())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// The container of a launcher without threads dies with the goroutine that made it.
func TestOneShotDiesWithItsMaker(t *testing.T) {
	f := newFixture(t)
	l, err := core.NewLauncher(core.LauncherOptions{OneShot: true})
	if err != nil {
		t.Fatal(err)
	}
	var c *core.Container
	made := make(chan struct{})
	go func() {
		defer close(made)
		c, err = l.Create(t.Context(), "oneshot", core.Options{Spec: spec.New(spec.Namespaces, spec.Options{Rootfs: f.options.Rootfs, Args: []string{program, "wait"}})})
	}()
	if <-made; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if status, err := c.Wait(ctx); err != nil || status.Signal != unix.SIGKILL {
		t.Errorf("it ended with %s, %v", status, err)
	}
	check(t, c.Delete())
}

// TestDiesWithLauncher: a launcher that is killed leaves nobody, however its containers were made.
// They are found as orphans of this process.
func TestDiesWithLauncher(t *testing.T) {
	f := newFixture(t)
	check(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer func() { check(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)) }()
	// Nobody sees the end of its input, which would end it as well.
	in, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close() //nolint:errcheck // nothing is written
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args, cmd.Stdin, cmd.Stderr = []string{launching, f.options.Rootfs}, in, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	check(t, in.Close())
	left := map[string]int{}
	said := bufio.NewReader(out)
	for i := range len(ways) + 1 {
		name, pid := "joined", 0
		if i < len(ways) {
			name = ways[i].name
		}
		if _, err := fmt.Fscanln(said, &pid); err != nil {
			t.Errorf("%s: %v", name, err)
			break
		}
		if left[name], err = unix.PidfdOpen(pid, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	for name, fd := range left {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		}
		if n != 1 {
			t.Errorf("%s: it has outlived its launcher (%v)", name, err)
			check(t, unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0))
		}
		if err := unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED, nil); err != nil {
			t.Errorf("%s: reap: %v", name, err)
		}
		check(t, unix.Close(fd))
	}
}

package core

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// noSuchCall is a number that no kernel knows.
const noSuchCall = 9999

// TestEveryStepCanFail breaks each step of a hardened container's plan in turn: the error must
// name that very step, and nothing may be left of the attempt.
func TestEveryStepCanFail(t *testing.T) {
	l, plan := intact(t)
	before, reached := left(t), 0
	for i := range plan.Steps {
		broken := *plan
		broken.Steps = append([]Step(nil), plan.Steps...)
		step := &broken.Steps[i]
		step.number, step.tolerate, step.min = noSuchCall, nil, 0
		var failed *StepError
		err := tryLaunch(t.Context(), t, l, &broken)
		if !errors.As(err, &failed) {
			t.Errorf("step %d (%s) broken: %v", i+1, plan.Steps[i].Text, err)
			continue
		}
		if failed.Index == i && errors.Is(err, unix.ENOSYS) {
			reached++
		}
	}
	// Some steps are passed over on any one host, such as the mask of a path that is not there.
	if reached < len(plan.Steps)*3/4 {
		t.Errorf("only %d of %d broken steps were named", reached, len(plan.Steps))
	}
	if after := left(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestChildThatHangs has a call never return, before the program could start and after that: the
// child ends with the context, and nothing is left.
func TestChildThatHangs(t *testing.T) {
	l, plan := intact(t)
	before := left(t)
	for _, i := range []int{0, len(plan.Steps) / 2, len(plan.Steps) - 1} {
		hanging := *plan
		hanging.Steps = slices.Clone(plan.Steps)
		hanging.Steps[i].number, hanging.Steps[i].args = unix.SYS_PPOLL, calls(null(), num(0), null(), null())
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := tryLaunch(ctx, t, l, &hanging); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("step %d (%s) hangs: %v", i+1, plan.Steps[i].Text, err)
		}
		cancel()
	}
	if after := left(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestChildThatIsNotThere: a child that ends before it takes the word to start has not started,
// whether it was there when the word was sent or not.
func TestChildThatIsNotThere(t *testing.T) {
	l, plan := intact(t)
	for _, stopped := range []bool{false, true} {
		var undo cleanup.Stack
		handles, err := standard(&undo, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.launch(t.Context(), plan, nil, handles, -1, -1)
		if err != nil {
			t.Fatal(err)
		}
		undo.Push("end the child", c.undo.Close)
		started := make(chan error, 1)
		if stopped {
			signal(t, c, unix.SIGSTOP, unix.WSTOPPED)
			go func() { started <- c.start(t.Context()) }()
			for sent := 0; sent == 0; {
				if sent, err = unix.IoctlGetInt(c.line, unix.SIOCOUTQ); err != nil {
					t.Fatal(err)
				}
			}
		}
		signal(t, c, unix.SIGKILL, unix.WEXITED)
		if !stopped {
			started <- c.start(t.Context())
		}
		if err := <-started; !errors.Is(err, errEarly) || !strings.Contains(err.Error(), "killed by SIGKILL") {
			t.Errorf("stopped %v: start: %v, want %v, and by what", stopped, err, errEarly)
		}
		if err := undo.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDeleteEndsAStartThatHangs: a container whose program does not come can be deleted all the same.
func TestDeleteEndsAStartThatHangs(t *testing.T) {
	l, _ := intact(t)
	s := hardened(t)
	s.Linux.Resources = nil // they would need a cgroup
	c, err := l.Create(t.Context(), "hangs", Options{Spec: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Kill(unix.SIGSTOP), unix.Waitid(unix.P_PID, c.Pid(), nil, unix.WSTOPPED|unix.WNOWAIT, nil)); err != nil {
		t.Fatal(err)
	}
	started, deleted := make(chan error, 1), make(chan error, 1)
	go func() { started <- c.Start(context.WithoutCancel(t.Context())) }()
	for sent := 0; sent == 0; {
		if sent, err = unix.IoctlGetInt(c.child.line, unix.SIOCOUTQ); err != nil {
			t.Fatal(err)
		}
	}
	go func() { deleted <- c.Delete() }()
	select {
	case err := <-deleted:
		if err != nil {
			t.Errorf("delete: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("delete waits for the start")
		if err := c.Kill(unix.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if err := <-started; !errors.Is(err, errEarly) {
		t.Errorf("start: %v, want %v", err, errEarly)
	}
}

// signal sends a child a signal and waits for what it does to it.
func signal(t *testing.T, c *child, sig unix.Signal, event int) {
	t.Helper()
	if err := unix.PidfdSendSignal(c.pidfd, sig, nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PIDFD, c.pidfd, nil, event|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
}

// intact returns a launcher, and the plan of a hardened container that fails only where its program
// is missing.
func intact(t *testing.T) (*Launcher, *Plan) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes namespaces")
	}
	l, err := NewLauncher(LauncherOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	plan, err := Compile(Request{Spec: hardened(t), Host: l.host})
	if err != nil {
		t.Fatal(err)
	}
	if err := tryLaunch(t.Context(), t, l, plan); !errors.Is(err, unix.ENOENT) {
		t.Fatalf("the intact plan: %v, want to fail only where the program is missing", err)
	}
	return l, plan
}

// hardened is a spec whose program does not exist, in a root directory that a mapped root can
// pass to.
func hardened(t *testing.T) *specs.Spec {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"proc", "dev", "sys", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	held, err := kernel.HeldCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	return spec.New(spec.Hardened, spec.Options{
		Rootfs: dir, Args: []string{"/program"}, Capabilities: held, HostID: 1 << 20, IDCount: 1 << 16,
	})
}

// tryLaunch launches and starts a child, and undoes it whatever happens.
func tryLaunch(ctx context.Context, t *testing.T, l *Launcher, plan *Plan) error {
	t.Helper()
	var undo cleanup.Stack
	handles, err := standard(&undo, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := undo.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := l.launch(ctx, plan, nil, handles, -1, -1)
	if err != nil {
		return err
	}
	undo.Push("end the child", c.undo.Close)
	return c.start(ctx)
}

// left lists the descriptors and children of this process and its mounts.
func left(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasSuffix(target, "/fd") {
			b.WriteString(e.Name() + " " + target + "\n")
		}
	}
	for _, glob := range []string{"/proc/self/task/*/children", "/proc/self/mountinfo"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil {
				b.Write(text)
			}
		}
	}
	return b.String()
}

// TestTerminalWithoutDescriptor: a terminal that comes where no descriptor is free is an error, and not the child's end.
func TestTerminalWithoutDescriptor(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(unix.Close(pair[0]), unix.Close(pair[1])); err != nil {
			t.Error(err)
		}
	}()
	var all unix.Rlimit
	err = errors.Join(unix.Sendmsg(pair[1], nil, unix.UnixRights(pair[1]), nil, 0), unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &all))
	if err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: all.Max}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &none, nil); err != nil {
		t.Fatal(err)
	}
	n, err := (&child{line: pair[0]}).receive(make([]byte, reportSize), unix.MSG_DONTWAIT)
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &all, nil); err != nil {
		t.Fatal(err)
	}
	if err == nil || !strings.Contains(err.Error(), "RLIMIT_NOFILE") {
		t.Errorf("received %d bytes, %v", n, err)
	}
}

package core_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// hold starts a container that waits for the end of its input, and returns both.
func (f *fixture) hold(t *testing.T, r spec.Rung, change func(*specs.Spec)) (*core.Container, *os.File) {
	t.Helper()
	o := f.options
	o.Args = []string{program, "wait"}
	s := spec.New(r, o)
	if change != nil {
		change(s)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close() //nolint:errcheck // the container has it
	c, err := f.launcher.Create(t.Context(), "held", core.Options{Spec: s, Parent: f.parent, Stdin: read})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		check(t, write.Close())
		check(t, c.Delete())
	})
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, write
}

// TestExecIsConfinedAsInit joins a container and compares what the kernel says of both.
func TestExecIsConfinedAsInit(t *testing.T) {
	f := newFixture(t)
	for _, r := range []spec.Rung{spec.Chroot, spec.Namespaces, spec.Hardened} {
		t.Run(string(r), func(t *testing.T) {
			c, _ := f.hold(t, r, nil)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			o := f.options
			o.Args = []string{program}
			p, err := c.Exec(t.Context(), core.DefaultProcess(spec.New(r, o), []string{program, "wait"}), read, nil, write)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { check(t, p.Close()) }()
			defer write.Close() //nolint:errcheck // ends the process
			for _, file := range []string{"ns/mnt", "ns/pid", "ns/net", "ns/ipc", "ns/uts", "ns/user", "ns/cgroup", "ns/time", "root"} {
				init, err := os.Readlink(filepath.Join("/proc", itoa(c.Pid()), file))
				check(t, err)
				joined, err := os.Readlink(filepath.Join("/proc", itoa(p.Pid()), file))
				check(t, err)
				if init != joined {
					t.Errorf("%s: init has %s, the joined process %s", file, init, joined)
				}
			}
			if init, joined := posture(t, c.Pid()), posture(t, p.Pid()); init != joined {
				t.Errorf("init:\n%s\njoined:\n%s", init, joined)
			}
		})
	}
}

// posture is what /proc/PID says of a process's rights and cgroups.
func posture(t *testing.T, pid int) string {
	t.Helper()
	var b strings.Builder
	for _, file := range []string{"status", "cgroup", "limits"} {
		text, err := os.ReadFile(filepath.Join("/proc", itoa(pid), file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if file != "status" || strings.HasPrefix(line, "Cap") || strings.HasPrefix(line, "NoNewPrivs") ||
				strings.HasPrefix(line, "Seccomp:") || strings.HasPrefix(line, "Uid") || strings.HasPrefix(line, "Gid") || strings.HasPrefix(line, "Groups") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// TestLauncherSurvivesItsLimits: what the child does or suffers before its program runs must
// not come back to the launcher.
func TestLauncherSurvivesItsLimits(t *testing.T) {
	f := newFixture(t)
	before, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	score := 700
	f.hold(t, spec.Hardened, func(s *specs.Spec) { s.Process.OOMScoreAdj = &score })
	if after, err := os.ReadFile("/proc/self/oom_score_adj"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("our oom_score_adj was %s and is %s, %v", before, after, err)
	}
	tiny := int64(64 << 10)
	o := f.options
	o.Args = []string{program, "exit"}
	s := spec.New(spec.Hardened, o)
	s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &tiny, Swap: &tiny}
	c, err := f.launcher.Create(t.Context(), "tiny", core.Options{Spec: s, Parent: f.parent})
	if err == nil {
		// That it was killed is right; that we are here to see it is the test.
		_ = c.Start(t.Context())
		check(t, c.Delete())
	}
}

// TestStdioBlocks: a pipe of ours does not block, and the program shares the open file.
func TestStdioBlocks(t *testing.T) {
	f := newFixture(t)
	out, _ := f.run(t, spec.Namespaces, nil, "flags")
	if strings.TrimSpace(out) != "blocking" {
		t.Errorf("standard output is %q in the container", out)
	}
}

// TestTerminal gives a container a terminal of its own, which is its user's, and reads what it says there.
func TestTerminal(t *testing.T) {
	f := newFixture(t)
	for _, uid := range []uint32{0, 1000} {
		o := f.options
		o.Args = []string{program, "terminal"}
		s := spec.New(spec.Hardened, o)
		s.Process.Terminal = true
		s.Process.User = specs.User{UID: uid, GID: uid}
		c, err := f.launcher.Create(t.Context(), "tty", core.Options{Spec: s, Parent: f.parent})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { check(t, c.Delete()) }()
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(c.Console) // ends with EIO, as masters do
		if got := strings.TrimSpace(string(text)); got != "/dev/pts/0" {
			t.Errorf("the terminal of user %d says %q", uid, got)
		}
		check(t, c.Delete())
	}
}

// TestTerminalWithoutPtrace: nobody who may trace the child is needed for its terminal, where it hides from the others
// in its pid namespace.
func TestTerminalWithoutPtrace(t *testing.T) {
	f := newFixture(t)
	o := f.options
	o.Args = []string{program, "terminal"}
	s := spec.New(spec.Namespaces, o)
	spec.WithoutNamespace(specs.PIDNamespace).Apply(s)
	s.Process.Terminal = true
	var c *core.Container
	if err := kernel.OnThread(func() (err error) {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var held [2]unix.CapUserData
		if err := unix.Capget(&header, &held[0]); err != nil {
			return err
		}
		held[0].Effective &^= 1 << unix.CAP_SYS_PTRACE
		if err := unix.Capset(&header, &held[0]); err != nil {
			return err
		}
		c, err = f.launcher.Create(t.Context(), "tty", core.Options{Spec: s, Parent: f.parent})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, c.Delete()) }()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(c.Console).ReadString('\n'); err != nil || !strings.HasPrefix(said, "/dev/pts/") {
		t.Errorf("it says %q, %v", said, err)
	}
}

// TestTerminalOfAReadOnlyDevpts: it stays root's, and the container starts.
func TestTerminalOfAReadOnlyDevpts(t *testing.T) {
	f := newFixture(t)
	s := spec.New(spec.Hardened, f.options)
	s.Process.Args, s.Process.Terminal, s.Process.User = []string{program, "exit"}, true, specs.User{UID: 1000, GID: 1000}
	for i := range s.Mounts {
		if m := &s.Mounts[i]; m.Type == "devpts" {
			m.Options = append(m.Options, "ro")
		}
	}
	c, err := f.launcher.Create(t.Context(), "tty", core.Options{Spec: s, Parent: f.parent})
	if err != nil {
		t.Fatal(err)
	}
	check(t, c.Delete())
}

// TestSaveAndFind: a container is found by its name while its init lives.
func TestSaveAndFind(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	c, _ := f.hold(t, spec.Namespaces, nil)
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	e, err := core.Find(dir, "held")
	if err != nil || e.Pid != c.Pid() {
		t.Fatalf("found %+v, %v, want pid %d", e, err, c.Pid())
	}
	if err := c.Save(dir); err == nil {
		t.Error("the same name was given twice")
	}
	check(t, c.Delete())
	if _, err := core.Find(dir, "held"); err == nil {
		t.Error("a deleted container was found")
	}
}

// TestExecWhereGroupsAreDenied: a user namespace without setgroups(2) is without it for who joins.
func TestExecWhereGroupsAreDenied(t *testing.T) {
	f := newFixture(t)
	c, _ := f.hold(t, spec.Hardened, func(s *specs.Spec) { s.Annotations = map[string]string{spec.DenySetgroups: "true"} })
	s := spec.New(spec.Hardened, f.options)
	p, err := c.Exec(t.Context(), core.DefaultProcess(s, []string{program, "exit"}), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.Wait(t.Context())
	if err != nil || status.Code != 7 {
		t.Errorf("status %v, %v, want exit status 7", status, err)
	}
	check(t, p.Close())
}

// TestExecKnowsItsContainer: a pid that another process has now is no container to join.
func TestExecKnowsItsContainer(t *testing.T) {
	f := newFixture(t)
	c, _ := f.hold(t, spec.Namespaces, nil)
	dir := t.TempDir()
	check(t, c.Save(dir))
	e, err := core.Find(dir, "held")
	if err != nil {
		t.Fatal(err)
	}
	j := core.Joining{ID: "held", Pid: e.Pid, StartTime: e.StartTime, Spec: e.Spec, Process: core.DefaultProcess(e.Spec, []string{program, "exit"})}
	p, err := f.launcher.Exec(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	check(t, p.Close())
	j.StartTime--
	if p, err := f.launcher.Exec(t.Context(), j); err == nil {
		t.Error("joined a process that started at another time")
		check(t, p.Close())
	}
}

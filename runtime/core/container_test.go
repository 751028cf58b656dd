package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// TestMain is also the program of the containers: the test binary runs itself inside them.
func TestMain(m *testing.M) {
	switch os.Args[0] {
	case program:
		os.Exit(inside(os.Args[1:]))
	case sealed:
		os.Exit(beSealed())
	case launching:
		if err := launch(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case mounting:
		if err := mountingHook(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case limited:
		if err := launchLimited(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const program = "/cellwall-attacker"

// mounting is the name under which this program is a create hook.
const mounting = "cellwall-mounting-hook"

func inside(args []string) int {
	switch args[0] {
	case "exit":
		return 7
	case "cat":
		for _, f := range args[1:] {
			b, err := os.ReadFile(f)
			if err != nil {
				fmt.Println(err)
			}
			fmt.Printf("%s", b)
		}
	case "open":
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY} {
			_, err := unix.Open(args[1], flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			fmt.Print(err == nil, " ")
		}
	case "fds":
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, e := range entries {
			target, err := os.Readlink("/proc/self/fd/" + e.Name())
			if err == nil && !strings.HasPrefix(target, "/proc/") && !strings.HasPrefix(target, "anon_inode:[event") {
				fmt.Println(e.Name(), target)
			}
		}
	case "id":
		fmt.Println(os.Getpid(), os.Getuid(), os.Getgid())
	case "flags":
		flags, err := unix.FcntlInt(1, unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK != 0 {
			fmt.Println("nonblocking", err)
			return 1
		}
		fmt.Println("blocking")
	case "terminal":
		name, err := os.Readlink("/proc/self/fd/0")
		if err != nil {
			fmt.Println(err)
		}
		again, err := os.OpenFile(name, os.O_RDWR, 0) // as the shell does for >/dev/stdout
		if err != nil {
			fmt.Println(err)
			break
		}
		_, _ = fmt.Fprintln(again, name)
	case "wait":
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	return 0
}

type fixture struct {
	launcher *core.Launcher
	options  spec.Options
	parent   *cgroup.Group
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes namespaces and cgroups")
	}
	l, err := core.NewLauncher(core.LauncherOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, l.Close()) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// The mapped root must reach its root directory.
	for d := dir; d != "/" && d != os.TempDir(); d = d[:strings.LastIndexByte(d, '/')] {
		check(t, os.Chmod(d, 0o755))
	}
	root, err := rootfs.Attacker(dir, self)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, root.Close()) })
	capabilities, err := kernel.HeldCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, tree.Close()) })
	held, err := lease.Take(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, held.Close()) })
	parent, err := tree.Create(held.Name, cgroup.Limits{PidsMax: 200, Devices: []cgroup.DeviceRule{{Allow: true}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, parent.Close()) })
	return &fixture{launcher: l, parent: parent, options: spec.Options{
		Rootfs: root.Path(), Capabilities: capabilities, HostID: 1 << 20, IDCount: 1 << 16,
	}}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// run runs the program at a rung and returns what it printed.
func (f *fixture) run(t testing.TB, r spec.Rung, edits spec.Edits, args ...string) (string, core.Status) {
	t.Helper()
	return f.runFrom(t, "", r, edits, args...)
}

// runFrom runs it in the mounts of another mount namespace than the launcher's.
func (f *fixture) runFrom(t testing.TB, from string, r spec.Rung, edits spec.Edits, args ...string) (string, core.Status) {
	t.Helper()
	o := f.options
	o.Args = append([]string{program}, args...)
	s, omit := edits.Apply(spec.New(r, o))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close() //nolint:errcheck // read-only
	c, err := f.launcher.Create(t.Context(), "cellwall-t", core.Options{Spec: s, Omit: omit, From: from, Parent: f.parent, Stdout: write, Stderr: write})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, c.Delete()) }()
	check(t, write.Close())
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, read); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, err := c.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), status
}

func TestProgramRunsAtEveryRung(t *testing.T) {
	f := newFixture(t)
	for _, r := range spec.Ladder() {
		t.Run(string(r), func(t *testing.T) {
			if r == spec.Bare {
				t.Skip("the program's path is its name, which differs on the host")
			}
			if out, s := f.run(t, r, nil, "exit"); s.Code != 7 {
				t.Errorf("status %v, output %q, want exit status 7", s, out)
			}
		})
	}
}

func TestFailedStepIsNamed(t *testing.T) {
	f := newFixture(t)
	o := f.options
	o.Args = []string{"/nonesuch"}
	c, err := f.launcher.Create(t.Context(), "cellwall-t", core.Options{Spec: spec.New(spec.Namespaces, o), Parent: f.parent})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, c.Delete()) }()
	err = c.Start(t.Context())
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "execute /nonesuch") {
		t.Errorf("start: %v, want the execve step and ENOENT", err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

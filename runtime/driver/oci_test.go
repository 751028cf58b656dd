package driver_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// TestMain is also the program of the containers.
func TestMain(m *testing.M) {
	if os.Args[0] == rootfs.AttackerPath {
		os.Exit(inside(os.Args[1]))
	}
	if len(os.Args) > 1 && os.Args[1] == driver.GuestCommand {
		os.Exit(fakeGuest(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func inside(what string) int {
	switch what {
	case "exit":
		return 7
	case "wait":
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "orphan": // after a byte, leaves a process of another session
		if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
			return 1
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = []string{rootfs.AttackerPath, "forever"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if cmd.Start() != nil {
			return 1
		}
		return 7
	case "forever":
		for {
			_, _ = unix.Poll(nil, -1) // no event comes, but signals of Go's own do
		}
	}
	return 0
}

// stand is what a driver needs of the host.
type stand struct {
	parent *cgroup.Group
	bundle driver.Bundle
}

func newStand(t *testing.T, program string) *stand {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes containers")
	}
	self, err := os.Executable()
	check(t, err)
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		check(t, os.Chmod(d, 0o755)) // the mapped root must pass
	}
	root, err := rootfs.Attacker(dir, self)
	check(t, err)
	t.Cleanup(func() { check(t, root.Close()) })
	tree, err := cgroup.Find()
	check(t, err)
	t.Cleanup(func() { check(t, tree.Close()) })
	check(t, tree.Level())
	held, err := lease.Take(lease.Default)
	check(t, err)
	t.Cleanup(func() { check(t, held.Close()) })
	parent, err := tree.Create(held.Name, cgroup.Limits{PidsMax: 200, Devices: []cgroup.DeviceRule{{Allow: true}}})
	check(t, err)
	t.Cleanup(func() {
		check(t, parent.Close())
		// Where the parent is not, the runtime has made one of its name.
		beside, err := cgroup.At("/" + held.Name)
		check(t, err)
		for _, path := range beside {
			check(t, cgroup.Remove(path))
		}
	})
	capabilities, err := kernel.HeldCapabilities()
	check(t, err)
	s := spec.New(spec.Hardened, spec.Options{
		Rootfs: root.Path(), Args: []string{rootfs.AttackerPath, program}, Capabilities: capabilities, HostID: 1 << 20, IDCount: 1 << 16,
	})
	var edits spec.Edits
	for _, m := range root.Mounts() {
		edits = append(edits, spec.WithMount(m))
	}
	s, _ = edits.Apply(s)
	return &stand{parent: parent, bundle: driver.Bundle{ID: held.Name + "-1", Dir: dir, Spec: s, Parent: parent}}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// find returns a runtime and takes out of the spec what it lacks.
func (s *stand) find(t *testing.T, name string) driver.Runtime {
	t.Helper()
	rt, err := driver.Find(t.Context(), name, nil)
	if errors.Is(err, driver.ErrAbsent) {
		t.Skip(err)
	}
	check(t, err)
	s.bundle.Spec, _ = rt.Lacks().Apply(s.bundle.Spec)
	return rt
}

// holds gives the container an input that goes on until what it returns is closed, with the test at the latest.
func (s *stand) holds(t *testing.T) *os.File {
	t.Helper()
	in, hold, err := os.Pipe()
	check(t, err)
	s.bundle.Stdin = in
	t.Cleanup(func() { _ = errors.Join(in.Close(), hold.Close()) }) // a test may have closed either
	return hold
}

// clean fails if a runtime has left something in the container's directory or cgroups.
func (s *stand) clean(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(s.bundle.Dir, "oci-*"))
	check(t, err)
	if len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	for _, h := range s.parent.Hierarchies() {
		groups, err := filepath.Glob(filepath.Join(h.Path, "cellwall-*"))
		check(t, err)
		if len(groups) > 0 {
			t.Errorf("left: %q", groups)
		}
	}
}

func eachOCI(t *testing.T, f func(t *testing.T, name string)) {
	for _, name := range []string{"runc", "crun"} {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

func TestLifeOfAnOCIContainer(t *testing.T) {
	eachOCI(t, func(t *testing.T, name string) {
		s := newStand(t, "exit")
		c, err := s.find(t, name).Create(t.Context(), s.bundle)
		check(t, err)
		if c.Pid() <= 1 || c.State().Pid != c.Pid() {
			t.Errorf("created: pid %d, state %+v", c.Pid(), c.State())
		}
		group, err := cgroup.Open(c.Pid())
		check(t, err)
		if got, want := group.Path("pids"), filepath.Join(s.parent.Path("pids"), s.bundle.ID); got != want {
			t.Errorf("it is in cgroup %s, want %s", got, want)
		}
		check(t, group.Close())
		check(t, c.Start(t.Context()))
		status, err := c.Wait(t.Context())
		if err != nil || status.Code != 7 || status.Signal != 0 {
			t.Errorf("ended: %+v, %v", status, err)
		}
		for range 2 { // it is idempotent
			check(t, c.Delete(t.Context()))
		}
		s.clean(t)
	})
}

func TestKillOfAnOCIContainer(t *testing.T) {
	eachOCI(t, func(t *testing.T, name string) {
		s := newStand(t, "wait")
		s.holds(t)
		c, err := s.find(t, name).Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("wait for one that runs: %v", err)
		}
		check(t, c.Kill(unix.SIGKILL))
		status, err := c.Wait(t.Context())
		if err != nil || status.Signal != unix.SIGKILL {
			t.Errorf("ended: %+v, %v", status, err)
		}
		for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGTERM} {
			if err := c.Kill(sig); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("%v to one that has ended: %v", sig, err)
			}
		}
		check(t, c.Delete(t.Context()))
		s.clean(t)
	})
}

// TestFailedOCICreate has the runtime refuse: its own words come back, and nothing is left.
func TestFailedOCICreate(t *testing.T) {
	eachOCI(t, func(t *testing.T, name string) {
		s := newStand(t, "exit")
		s.bundle.Spec.Process.Args[0] = "/cellwall-none"
		rt := s.find(t, name)
		c, err := rt.Create(t.Context(), s.bundle)
		if err == nil { // some say so at the start
			err = c.Start(t.Context())
			check(t, c.Delete(t.Context()))
		}
		if err == nil || !strings.Contains(err.Error(), name+" create") || !strings.Contains(err.Error(), "/cellwall-none") {
			t.Errorf("create of a program that is not there: %v", err)
		}
		s.clean(t)
	})
}

func TestOCIExpresses(t *testing.T) {
	eachOCI(t, func(t *testing.T, name string) {
		s := newStand(t, "exit")
		rt := s.find(t, name)
		check(t, rt.Expresses(s.bundle))
		for want, edit := range map[string]spec.Edit{
			"a step of the core":    spec.Omitting("nothing", "close-descriptors"),
			"without a mount":       spec.WithoutNamespace(specs.MountNamespace),
			"host's root directory": spec.HostRootDirectory(),
			"setgroups": spec.Change("", func(s *specs.Spec) {
				s.Annotations = map[string]string{spec.DenySetgroups: "true"}
			}),
			"sysctl of a user": spec.Change("", func(s *specs.Spec) {
				s.Linux.Sysctl = map[string]string{"user.max_ipc_namespaces": "1"}
			}),
			"no none namespaces": spec.JoinNamespace("none", "/nowhere"),
		} {
			b := s.bundle
			b.Spec, b.Omit = spec.Edits{edit}.Apply(s.bundle.Spec)
			if err := rt.Expresses(b); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
	})
}

// A runtime that says that all went well, and leaves what it has made.
const careless = `#!/bin/sh
[ "$1" = --version ] && echo careless version 1 && exit
[ "$1" = features ] && exit 1
while [ $# -gt 0 ]; do
	case $1 in
	--root) state=$2 ;;
	--pid-file) pid=$2 ;;
	create|start|kill|delete) verb=$1 ;;
	esac
	shift
done
[ "$verb" = create ] || exit 0
mkdir -p "$state/left"
sleep 1000 </dev/null >/dev/null &
echo $! >"$pid"
`

func TestSweepNamesWhatIsLeft(t *testing.T) {
	s := newStand(t, "exit")
	script := filepath.Join(t.TempDir(), "careless")
	check(t, os.WriteFile(script, []byte(careless), 0o755))
	// The process that is left ends its hold on the pipe, and nothing else does.
	read, write, err := os.Pipe()
	check(t, err)
	defer read.Close()
	s.bundle.Stderr = write
	_, err = s.find(t, "oci:"+script).Create(t.Context(), s.bundle)
	check(t, write.Close())
	for _, want := range []string{"is not in cgroup", "(sleep)", "state/left"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if n, err := read.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read what was left: %d, %v", n, err)
	}
	s.clean(t)
}

func TestFind(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for name, want := range map[string]string{
		"":             "unknown",
		"docker run":   "unknown",
		"core=/bin/sh": "no other path",
		"runc=":        "write runc=PATH",
		"runc@new":     "write runc@new=PATH",
		"runc@New=/x":  "unknown",
		"moon@new=/x":  "unknown",
		"core@new=/x":  "no other path",
		"oci:":         "write oci:PATH",
		"oci:" + none:  "not on this host",
		"runc=" + none: "not on this host",
	} {
		_, err := driver.Find(t.Context(), name, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("find %q: %v, want %q in it", name, err, want)
		}
		if absent := errors.Is(err, driver.ErrAbsent); absent != strings.Contains(want, "host") {
			t.Errorf("find %q: ErrAbsent is %v", name, absent)
		}
	}
	silent, err := exec.LookPath("true")
	check(t, err)
	if _, err := driver.Find(t.Context(), "oci:"+silent, nil); err != nil && !strings.Contains(err.Error(), "version") {
		t.Errorf("a program that prints no version: %v", err)
	}
}

// TestCounterfeitNull has runcs of versions that make what else they are told to call /dev/null, and that refuse it.
func TestCounterfeitNull(t *testing.T) {
	s := newStand(t, "exit")
	s.bundle.Spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/null", Type: "c", Major: 1, Minor: 5}}
	for version, refuses := range map[string]bool{"1.1.5+ds1": false, "1.2.7": false, "1.2.8": true, "1.3.2": false, "1.5.3": true} {
		script := filepath.Join(t.TempDir(), "runc")
		check(t, os.WriteFile(script, []byte("#!/bin/sh\n[ $1 = features ] || exec echo runc version "+version+
			"\n"+`echo '{"linux":{"namespaces":["mount","user","pid","ipc","uts","network","cgroup","time"]}}'`+"\n"), 0o755))
		err := s.find(t, "runc="+script).Expresses(s.bundle)
		if errors.Is(err, kernel.ErrNotSupported) != refuses || err != nil && !strings.Contains(err.Error(), "/dev/null") {
			t.Errorf("%s: %v", version, err)
		}
	}
	s.bundle.Spec.Linux.Devices[0].Minor = 3
	check(t, s.find(t, "runc").Expresses(s.bundle))
}

// TestFeaturesMustBeTold has a runc of a version that has the command, and fails or says nothing.
func TestFeaturesMustBeTold(t *testing.T) {
	for name, c := range map[string]struct {
		version, features string
		fails             bool
	}{
		"fails":          {"1.1.5", "exit 1", true},
		"says nothing":   {"1.1.5", "echo '{}'", true},
		"is older":       {"1.0.3", "exit 1", false},
		"tells":          {"1.1.5", `echo '{"linux":{"namespaces":["mount"]}}'`, false},
		"says no number": {"nightly", "exit 1", true},
	} {
		script := filepath.Join(t.TempDir(), "runc")
		check(t, os.WriteFile(script, []byte("#!/bin/sh\n[ $1 = features ] || exec echo runc version "+c.version+"\n"+c.features+"\n"), 0o755))
		_, err := driver.Find(t.Context(), "runc="+script, nil)
		if (err != nil) != c.fails || err != nil && (!strings.Contains(err.Error(), "features") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("one that %s: %v", name, err)
		}
	}
}

package driver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// fakeGuest is the command behind the runtime vm, without a machine: the program is our own inside.
func fakeGuest(args []string) int {
	switch {
	case slices.Contains(args, "--kernel=6.0"):
		fmt.Fprintln(os.Stderr, "a kernel 6.0: not in the cache")
		return 125
	case slices.Contains(args, "--describe"):
		fmt.Println("tcg 6.1.0-test")
		return 0
	case strings.Join(args, " ") != "--kernel=6.1.0-test --accel=tcg --spec=3 --began=4":
		fmt.Fprintln(os.Stderr, "arguments:", args)
		return 125
	}
	var s specs.Spec
	if err := json.NewDecoder(os.NewFile(3, "spec")).Decode(&s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	if s.Process.Args[1] == "never" {
		fmt.Fprintln(os.Stderr, "guest: it is never up")
		return 125
	}
	if _, err := os.NewFile(4, "began").Write([]byte{'.'}); err != nil {
		return 125
	}
	return inside(s.Process.Args[1])
}

func TestVMFind(t *testing.T) {
	rt, err := driver.Find(t.Context(), "vm", nil)
	check(t, err)
	if v, err := rt.Version(t.Context()); v != "6.1.0-test by tcg" || err != nil || rt.Name() != "vm" {
		t.Errorf("%s %q, %v", rt.Name(), v, err)
	}
	if !driver.Sandboxed(rt) || !driver.Machines(rt) || !driver.Copies(rt) {
		t.Error("it is no sandbox, no machine, or shares its root directory")
	}
	if _, err := driver.Find(t.Context(), "vm=6.0", nil); !errors.Is(err, driver.ErrAbsent) || !strings.Contains(err.Error(), "not in the cache") {
		t.Errorf("of a kernel that is not there: %v", err)
	}
	if err := driver.Check("vm="); err == nil || !strings.Contains(err.Error(), "names no kernel") {
		t.Errorf("of no kernel: %v", err)
	}
}

func TestVMLife(t *testing.T) {
	s := newStand(t, "exit")
	rt := s.find(t, "vm")
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	if c.Pid() != 0 {
		t.Errorf("created: pid %d", c.Pid())
	}
	check(t, c.Start(t.Context()))
	if status, err := c.Wait(t.Context()); err != nil || status.Code != 7 {
		t.Errorf("ended: %+v, %v", status, err)
	}
	check(t, c.Delete(t.Context()))
	s.clean(t)
}

// TestVMIsLimitedFromOutside: the machine is in the container's cgroup, which limits its CPU time, and ends with it.
func TestVMIsLimitedFromOutside(t *testing.T) {
	s := newStand(t, "wait")
	s.holds(t)
	rt := s.find(t, "vm")
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	check(t, c.Start(t.Context()))
	g, err := cgroup.Open(c.Pid())
	check(t, err)
	defer g.Close()
	l, err := g.Limits()
	check(t, err)
	want := *s.bundle.Spec.Linux.Resources.CPU.Quota
	if got := l.CPUMax.Quota.Microseconds(); got != want {
		t.Errorf("its quota is %d us, want %d", got, want)
	}
	for _, namespace := range []string{"net", "ipc", "uts", "cgroup"} {
		ours, err := os.Readlink("/proc/self/ns/" + namespace)
		check(t, err)
		if its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", c.Pid(), namespace)); err != nil || its == ours {
			t.Errorf("its %s namespace is the host's: %s, %v", namespace, its, err)
		}
	}
	check(t, c.Kill(unix.SIGKILL))
	if status, err := c.Wait(t.Context()); err != nil || status.Signal != unix.SIGKILL {
		t.Errorf("ended: %+v, %v", status, err)
	}
	check(t, c.Delete(t.Context()))
	s.clean(t)
}

func TestVMThatIsNeverUp(t *testing.T) {
	s := newStand(t, "never")
	rt := s.find(t, "vm")
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "it is never up") {
		t.Errorf("started: %v", err)
	}
	check(t, c.Delete(t.Context()))
	s.clean(t)
}

func TestVMExpresses(t *testing.T) {
	s := newStand(t, "exit")
	rt := s.find(t, "vm")
	check(t, rt.Expresses(s.bundle))
	file, dir := s.bundle.Spec.Root.Path+"/etc/passwd", s.bundle.Spec.Root.Path+"/etc"
	b := s.bundle
	b.Spec, _ = spec.Edits{spec.WithMount(spec.Bind(file, "/given", "ro"))}.Apply(s.bundle.Spec)
	check(t, rt.Expresses(b))
	limited := func(change func(*specs.LinuxResources)) spec.Edit {
		return spec.Change("", func(s *specs.Spec) { change(s.Linux.Resources) })
	}
	for want, edit := range map[string]spec.Edit{
		"shares no pid namespace": spec.WithoutNamespace(specs.PIDNamespace),
		"no cgroup namespace":     spec.WithoutNamespace(specs.CgroupNamespace),
		"shares no network":       spec.JoinNamespace(specs.NetworkNamespace, "/proc/self/ns/net"),
		"no user namespace":       spec.WithUserNamespace(spec.Options{}),
		"in the host's root":      spec.HostRootDirectory(),
		"shares nothing":          spec.WithMount(spec.Bind(dir, "/given", "ro")),
		"read-only to /given":     spec.WithMount(spec.Bind(file, "/given")),
		"mounts no overlay":       spec.WithMount(specs.Mount{Destination: "/x", Type: "overlay"}),
		"and not pids":            limited(func(r *specs.LinuxResources) { n := int64(9); r.Pids.Limit = &n }),
		"and not memory":          limited(func(r *specs.LinuxResources) { n := int64(1 << 40); r.Memory.Swap = &n }),
		"and not cpu":             limited(func(r *specs.LinuxResources) { r.CPU.Cpus = "0" }),
		"no seccomp filter":       spec.Change("", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} }),
		"masks nothing":           spec.Change("", func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/proc/keys"} }),
		"takes no capability":     spec.Change("", func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} }),
		"with a slash":            spec.Change("", func(s *specs.Spec) { s.Process.Args[0] = "sh" }),
		"sets no sysctl":          spec.Change("", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.x": "1"} }),
	} {
		b.Spec, _ = spec.Edits{edit}.Apply(s.bundle.Spec)
		if err := rt.Expresses(b); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// sayingLXC is a program that says that it is lxc-execute of a version.
func sayingLXC(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lxc-execute")
	check(t, os.WriteFile(path, []byte("#!/bin/sh\necho "+version+"\n"), 0o755))
	return "lxc-execute=" + path
}

// TestLXCLeavesNothing has programs that leave an orphan, for which LXC's init would wait, or wait themselves and are
// killed or not.
func TestLXCLeavesNothing(t *testing.T) {
	for _, id := range []string{"", "../out"} {
		for _, program := range []string{"orphan", "wait", "wait, killed"} {
			name, _, kills := strings.Cut(program, ",")
			s := newStand(t, name)
			rt := s.find(t, "lxc-execute")
			if id != "" { // no name
				s.bundle.ID = id
			}
			hold := s.holds(t)
			c, err := rt.Create(t.Context(), s.bundle)
			check(t, err)
			check(t, c.Start(t.Context()))
			if name == "orphan" {
				_, err := hold.WriteString("go\n")
				check(t, err)
				if status, err := c.Wait(t.Context()); err != nil || status.Code != 7 {
					t.Errorf("ended: %+v, %v", status, err)
				}
			}
			if kills {
				check(t, c.Kill(unix.SIGKILL))
				if status, err := c.Wait(t.Context()); err != nil || status.Signal != unix.SIGKILL {
					t.Errorf("ended: %+v, %v", status, err)
				}
			}
			for range 2 {
				check(t, c.Delete(t.Context()))
			}
			if procs := s.procs(t); len(procs) > 0 {
				t.Errorf("left: %q", procs)
			}
			s.clean(t)
			for _, pattern := range []string{filepath.Join(s.bundle.Dir, "lxc-*"), "/run/lxc/lock" + s.bundle.Dir + "/*"} {
				if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
					t.Errorf("left: %q, %v", left, err)
				}
			}
		}
	}
}

// TestDeafInit has an init that hears SIGTERM the second time only, as LXC's does that is busy with another signal.
func TestDeafInit(t *testing.T) {
	s := newStand(t, "wait")
	path := filepath.Join(t.TempDir(), "lxc-execute")
	check(t, os.WriteFile(path, []byte(`#!/bin/bash
PATH=/usr/sbin:/usr/bin:/sbin:/bin
[ "$1" = --version ] && echo 5.0.2 && exit
heard=0
trap 'heard=$((heard + 1)); [ $heard = 2 ] && exit 9' TERM
exec 3<&0
sleep 600 & # what the program leaves
chroot '`+s.bundle.Spec.Root.Path+`' `+rootfs.AttackerPath+` wait <&3 &
while :; do wait; done
`), 0o755))
	rt := s.find(t, "lxc-execute="+path)
	hold := s.holds(t)
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	check(t, c.Start(t.Context()))
	check(t, hold.Close())
	if status, err := c.Wait(t.Context()); err != nil || status.Code != 9 {
		t.Errorf("ended: %+v, %v", status, err)
	}
	if err := c.Delete(t.Context()); err == nil || !strings.Contains(err.Error(), "(sleep)") {
		t.Errorf("left: %v", err)
	}
	s.clean(t)
}

func TestOldLXC(t *testing.T) {
	for version, old := range map[string]bool{"4.0.12": true, "5.0.0": false, "6.0.4": false} {
		_, err := driver.Find(t.Context(), sayingLXC(t, version), nil)
		if errors.Is(err, driver.ErrAbsent) != old || (err != nil) != old || old && !strings.Contains(err.Error(), "it is of version 4.0.12: 5.0 or newer is needed") {
			t.Errorf("version %s: %v", version, err)
		}
	}
}

func TestLXCExpresses(t *testing.T) {
	rt, err := driver.Find(t.Context(), sayingLXC(t, "5.0.2"), nil)
	check(t, err)
	s, _ := rt.Lacks().Apply(spec.New(spec.Hardened, spec.Options{Rootfs: "/srv/root", Args: []string{"/p"}, Capabilities: []string{"CAP_KILL"}, HostID: 1 << 20, IDCount: 1 << 16}))
	check(t, rt.Expresses(driver.Bundle{Spec: s}))
	change := func(f func(*specs.Spec)) spec.Edit { return spec.Change("", f) }
	for want, edit := range map[string]spec.Edit{
		"a step of the core":           spec.Omitting("nothing", "close-descriptors"),
		"would mount on the host":      spec.WithoutNamespace(specs.MountNamespace),
		"unmounts what is on /dev/pts": spec.WithMount(spec.Bind("/dev/pts", "/dev/pts")),
		"unmounts a /proc that is not": spec.WithMount(spec.Bind("/proc", "/proc")),
		"boot_id always, which in":     change(func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil }),
		"it must map root":             change(func(s *specs.Spec) { s.Linux.GIDMappings[0].ContainerID = 1 }),
		"all groups in a user":         change(func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{5} }),
		"deny setgroups(2)":            change(func(s *specs.Spec) { s.Annotations = map[string]string{spec.DenySetgroups: "true"} }),
		"no umask":                     change(func(s *specs.Spec) { s.Process.User.Umask = new(uint32(0)) }),
		"inheritable or ambient":       change(func(s *specs.Spec) { s.Process.Capabilities.Ambient = []string{"CAP_KILL"} }),
		"one set of capabilities":      change(func(s *specs.Spec) { s.Process.Capabilities.Effective = nil }),
		"from its own environment":     change(func(s *specs.Spec) { s.Process.Env = []string{"A"} }),
		"takes no lxc.environment":     change(func(s *specs.Spec) { s.Process.Env = []string{"A=b "} }),
		"no devices but":               change(func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x"}} }),
		"when /proc/sys is read-only":  change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.x": "1"} }),
		"whole seconds":                change(func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Nanosecs: 1}} }),
		"vm.swappiness belongs to no": change(func(s *specs.Spec) {
			s.Linux.ReadonlyPaths = nil
			s.Linux.Sysctl = map[string]string{"vm.swappiness": "1"}
		}),
		"joins no pid namespace": spec.JoinNamespace(specs.PIDNamespace, "/proc/1/ns/pid"),
		"deny all first": change(func(s *specs.Spec) {
			s.Linux.Resources.Devices = s.Linux.Resources.Devices[1:]
			s.Linux.Resources.Devices[0].Allow = false
		}),
		"that of io.weight is another": change(func(s *specs.Spec) { s.Linux.Resources.Unified = map[string]string{"io.weight": "5"} }),
		"filters for":                  change(func(s *specs.Spec) { s.Linux.Seccomp.Architectures = nil }),
		"binds nothing with rro (/v)":  spec.WithMount(spec.Bind("/srv", "/v", "rro")),
		"no oom_score_adj":             change(func(s *specs.Spec) { s.Process.OOMScoreAdj = new(5) }),
	} {
		edited, omit := spec.Edits{edit}.Apply(s)
		if err := rt.Expresses(driver.Bundle{Spec: edited, Omit: omit}); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestLXCLimitsNeedV2 has a group on a host with v1: LXC is shown nothing of that.
func TestLXCLimitsNeedV2(t *testing.T) {
	s := newStand(t, "exit")
	rt := s.find(t, sayingLXC(t, "5.0.2"))
	if len(s.parent.Hierarchies()) == 1 {
		t.Skip("this host has cgroup v2 alone")
	}
	s.bundle.Spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: new(int64(5))}
	if err := rt.Expresses(s.bundle); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "such as pids, on cgroup v2 alone") {
		t.Errorf("a limit on v1: %v", err)
	}
	s.bundle.Spec.Linux.Resources = nil
	spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup"}).Apply(s.bundle.Spec)
	if err := rt.Expresses(s.bundle); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "mounts cgroups of v2 alone") {
		t.Errorf("the cgroups of v1: %v", err)
	}
}

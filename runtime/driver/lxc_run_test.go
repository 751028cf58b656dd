package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// fakeLXC does what lxc-execute does as far as the driver sees: it makes the cgroups of the configuration, starts
// an init in them that has the program for a child, and takes them away at the end.
const fakeLXC = `#!/bin/sh
[ "$1" = --version ] && { echo "${FAKE_VERSION:-5.0.2}"; exit; }
die() { echo "lxc-execute: $*" >&2; exit 1; }
set -e
[ "$1,$3,$5,$7" = -n,-P,-f,-- ] || die "arguments: $*"
case $2 in '' | */*) die "name: $2" ;; esac
path=$4 config=$6
shift 7
PATH=/usr/sbin:/usr/bin:/sbin:/bin
! grep -q . /proc/$$/environ || die "it could find newuidmap"
[ "$(stat -c %a "$path")" = 755 ] || die "a mapped root cannot pass $path"
[ "$(ps -o pgid= $$)" -eq $$ ] || die "its process group is another's"
value() { sed -n "s/^$1 = //p" "$config"; }
grep -q '^1:' /proc/self/cgroup && for h in /sys/fs/cgroup/*; do
	[ "$(stat -f -c %T "$h")" != cgroupfs ] || die "it sees $h"
done
grep -q '^0::.*/lxc-execute$' /proc/self/cgroup || die "it is in a group that is to have others below it"
v2=/sys/fs/cgroup
[ -d $v2/unified ] && v2=$v2/unified
monitor=$v2/$(value lxc.cgroup.dir.monitor) pivot=$v2/$(value lxc.cgroup.dir.monitor.pivot) payload=$v2/$(value lxc.cgroup.dir.container)
mkdir "$monitor" "$payload"
echo $$ >"$monitor/cgroup.procs"
root=$(value lxc.rootfs.path)
root=${root#dir:}
[ "$(value lxc.rootfs.mount)" = "$path/rootfs" ] && [ -d "$path/rootfs" ] || die "no $path/rootfs"
[ -z "$(value lxc.seccomp.profile)" ] || grep -q '^\[all\]$' "$(value lxc.seccomp.profile)" || die "no filter"
init='echo 0 >"$0"/cgroup.procs
config=$1 root=$2
shift 2
while read -r key equals source at kind options rest; do
	case $key,$source,$kind,$options in
	lxc.mount.entry,/dev/null,*|*,relative) ;;
	lxc.mount.entry,*,none,*) mount --bind "$source" "$root/$at" ;;
	esac
done <"$config"
chroot "$root" "$@"
exit $?'
set +e
unshare --mount --pid --fork --kill-child sh -c "$init" "$payload" "$config" "$root" "$@"
rc=$?
mkdir "$pivot"
echo $$ >"$pivot/cgroup.procs"
rmdir "$payload" "$monitor"
exit $rc
`

// newLXCStand is a stand on which the fake is, with what a host without cgroup v2 alone can do.
func newLXCStand(t *testing.T, program string) (*stand, driver.Runtime) {
	t.Helper()
	s := newStand(t, program)
	path := filepath.Join(t.TempDir(), "lxc-execute")
	check(t, os.WriteFile(path, []byte(fakeLXC), 0o755))
	s.bundle.Spec.Process.Capabilities = nil // the fake drops none, and its program needs them
	s.bundle.Spec, _ = spec.Edits{spec.WithoutNamespace(specs.UserNamespace)}.Apply(s.bundle.Spec)
	rt := s.find(t, "lxc-execute="+path)
	check(t, rt.Expresses(s.bundle))
	return s, rt
}

func lxcLeft(t *testing.T, s *stand) {
	t.Helper()
	s.clean(t)
	if left, err := filepath.Glob(filepath.Join(s.bundle.Dir, "lxc-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

func TestLifeOfLXC(t *testing.T) {
	s, rt := newLXCStand(t, "exit")
	if v, err := rt.Version(t.Context()); v != "5.0.2" || err != nil {
		t.Errorf("version %q, %v", v, err)
	}
	var descriptors []int
	for _, id := range []string{s.bundle.ID, "../out", ""} {
		b := s.bundle
		b.ID = id
		c, err := rt.Create(t.Context(), b)
		check(t, err)
		check(t, c.Start(t.Context()))
		if status, err := c.Wait(t.Context()); err != nil || status.Code != 7 {
			t.Errorf("ended: %+v, %v", status, err)
		}
		if err := c.Kill(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("kill of one that has ended: %v", err)
		}
		for range 2 {
			check(t, c.Delete(t.Context()))
		}
		lxcLeft(t, s)
		open, err := os.ReadDir("/proc/self/fd")
		check(t, err)
		descriptors = append(descriptors, len(open))
	}
	if descriptors[1] != descriptors[2] {
		t.Errorf("open descriptors: %d", descriptors)
	}
}

// TestKillOfLXC kills a container whose monitor has no time to remove anything, and one that nobody kills.
func TestKillOfLXC(t *testing.T) {
	s, rt := newLXCStand(t, "wait")
	in, hold, err := os.Pipe()
	check(t, err)
	defer hold.Close()
	s.bundle.Stdin = in
	for _, kills := range []bool{true, false} {
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		if procs := s.procs(t); !slices.Contains(procs, strings.Join(s.bundle.Spec.Process.Args, "\x00")+"\x00") {
			t.Errorf("Start returned before the program had begun: %q", procs)
		}
		if kills {
			check(t, c.Kill(unix.SIGKILL))
			if status, err := c.Wait(t.Context()); err != nil || status.Signal != syscall.SIGKILL {
				t.Errorf("ended: %+v, %v", status, err)
			}
		}
		check(t, c.Delete(t.Context()))
		if procs := s.procs(t); len(procs) > 0 {
			t.Errorf("left: %q", procs)
		}
		lxcLeft(t, s)
	}
}

func TestFailedLXC(t *testing.T) {
	s, rt := newLXCStand(t, "exit")
	s.bundle.Spec.Process.Args[0] = "/cellwall-none"
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "lxc-execute cannot make the container") || !strings.Contains(err.Error(), "/cellwall-none") {
		t.Errorf("start of a program that is not there: %v", err)
	}
	check(t, c.Delete(t.Context()))
	lxcLeft(t, s)
}

func TestOldLXC(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lxc-execute")
	check(t, os.WriteFile(path, []byte(fakeLXC), 0o755))
	for version, old := range map[string]bool{"4.0.12": true, "5.0.0": false, "6.0.4": false} {
		t.Setenv("FAKE_VERSION", version)
		_, err := driver.Find(t.Context(), "lxc-execute="+path, nil)
		if errors.Is(err, driver.ErrAbsent) != old || (err != nil) != old || old && !strings.Contains(err.Error(), "it is of version 4.0.12: 5.0 or newer is needed") {
			t.Errorf("version %s: %v", version, err)
		}
	}
}

func TestLXCExpresses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lxc-execute")
	check(t, os.WriteFile(path, []byte(fakeLXC), 0o755))
	rt, err := driver.Find(t.Context(), "lxc-execute="+path, nil)
	check(t, err)
	s, _ := rt.Lacks().Apply(spec.New(spec.Hardened, spec.Options{Rootfs: "/srv/root", Args: []string{"/p"}, Capabilities: []string{"CAP_KILL"}, HostID: 1 << 20, IDCount: 1 << 16}))
	check(t, rt.Expresses(driver.Bundle{Spec: s}))
	change := func(f func(*specs.Spec)) spec.Edit { return spec.Change("", f) }
	for want, edit := range map[string]spec.Edit{
		"a step of the core":          spec.Omitting("nothing", "close-descriptors"),
		"would mount on the host":     spec.WithoutNamespace(specs.MountNamespace),
		"it must map root":            change(func(s *specs.Spec) { s.Linux.GIDMappings[0].ContainerID = 1 }),
		"all groups in a user":        change(func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{5} }),
		"deny setgroups(2)":           change(func(s *specs.Spec) { s.Annotations = map[string]string{spec.DenySetgroups: "true"} }),
		"no umask":                    change(func(s *specs.Spec) { s.Process.User.Umask = new(uint32(0)) }),
		"inheritable or ambient":      change(func(s *specs.Spec) { s.Process.Capabilities.Ambient = []string{"CAP_KILL"} }),
		"one set of capabilities":     change(func(s *specs.Spec) { s.Process.Capabilities.Effective = nil }),
		"from its own environment":    change(func(s *specs.Spec) { s.Process.Env = []string{"A"} }),
		"takes no lxc.environment":    change(func(s *specs.Spec) { s.Process.Env = []string{"A=b "} }),
		"no devices but":              change(func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x"}} }),
		"when /proc/sys is read-only": change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.x": "1"} }),
		"whole seconds":               change(func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Nanosecs: 1}} }),
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
	s, rt := newLXCStand(t, "exit")
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

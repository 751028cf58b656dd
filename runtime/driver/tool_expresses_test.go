package driver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

func TestFindTemplate(t *testing.T) {
	dir := t.TempDir()
	bad, absent := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "absent.yaml")
	check(t, os.WriteFile(bad, []byte("name: a\nnmae: b\n"), 0o600))
	check(t, os.WriteFile(absent, []byte("name: a\nversion: [cellwall-none]\ncommand: [cellwall-none, '{cmd}']\nrung: chroot\nclaims: ['*']\n"), 0o600))
	for name, want := range map[string]string{
		"exec:":              "write exec:FILE",
		"exec:" + dir + "/x": "read the template",
		"exec:" + bad:        bad + ":2: ",
		"exec:" + absent:     "not on this host",
	} {
		_, err := driver.Find(t.Context(), name, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("find %q: %v, want %q in it", name, err, want)
		}
		if errors.Is(err, driver.ErrAbsent) != strings.Contains(want, "host") {
			t.Errorf("find %q: %v", name, err)
		}
	}
}

// TestUnfitTools has programs of the names of tools that say no version, as BusyBox's do, and one that is
// broken.
func TestUnfitTools(t *testing.T) {
	file := filepath.Join(t.TempDir(), "applet")
	for script, unfit := range map[string]bool{"exit 1": true, "kill -9 $$": false, "exit 0": false} {
		check(t, os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		for _, name := range []string{"chroot", "unshare", "bwrap"} {
			_, err := driver.Find(t.Context(), name+"="+file, nil)
			want := unfit && name != "bwrap" // whose name is its own
			var u *driver.Unfit
			if err == nil || errors.As(err, &u) != want || errors.Is(err, driver.ErrAbsent) != want || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %s: %v", name, script, err)
			}
			if want && (u.Name != name || !strings.Contains(err.Error(), "runtime "+name+": not on this host as it is needed: ask "+file+" for its version: exit status 1")) {
				t.Errorf("%s, %s: %v", name, script, err)
			}
		}
	}
}

// TestProgramThatHangs has a program that gives no answer to one question, whose child keeps its output open.
func TestProgramThatHangs(t *testing.T) {
	for question, name := range map[string]string{"--version": "chroot=", "features": "oci:", "flags": "runsc="} {
		t.Run(question, func(t *testing.T) {
			dir := t.TempDir()
			file, begun := filepath.Join(dir, "hangs"), filepath.Join(dir, "begun")
			check(t, unix.Mkfifo(begun, 0o600))
			check(t, os.WriteFile(file, []byte("#!/bin/sh\n[ $1 = "+question+" ] || exec echo version 1.0\nsleep 1000 & echo $! >"+begun+"\nwait\n"), 0o755))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			child := make(chan int)
			go func() {
				text, err := os.ReadFile(begun) // until the script has closed it
				pid, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
				if err != nil || convErr != nil {
					pid = 0
				}
				cancel()
				child <- pid
			}()
			_, err := driver.Find(ctx, name+file, nil)
			if !errors.Is(err, context.Canceled) || errors.Is(err, driver.ErrAbsent) {
				t.Errorf("no answer: %v", err)
			}
			pid := <-child
			if pid <= 1 {
				t.Fatalf("the child is process %d", pid)
			}
			check(t, unix.Kill(pid, unix.SIGKILL))
		})
	}
}

// TestToolExpresses changes a spec that a tool can make by one thing at a time.
func TestToolExpresses(t *testing.T) {
	change := func(f func(*specs.Spec)) spec.Edit { return spec.Change("", f) }
	one := int64(1)
	for name, cases := range map[string]map[string]spec.Edit{
		"bwrap": {
			"a step of the core":          spec.Omitting("nothing", "close-descriptors"),
			"host's root directory":       spec.HostRootDirectory(),
			"mount namespace always":      spec.WithoutNamespace(specs.MountNamespace),
			"no time namespace":           spec.JoinNamespace(specs.TimeNamespace, ""),
			"joins no pid namespace":      spec.JoinNamespace(specs.PIDNamespace, "/proc/1/ns/pid"),
			"limits, such as pids":        change(func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &one} }),
			"limits, such as devices":     change(func(s *specs.Spec) { s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Access: "rwm"}} }),
			"no rlimits":                  spec.WithRlimit("RLIMIT_NOFILE", 7),
			"no_new_privs always":         change(func(s *specs.Spec) { s.Process.NoNewPrivileges = false }),
			"no sysctl":                   change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.x": "1"} }),
			"no devices but":              change(func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x"}} }),
			"no cgroup (/sys/fs/cgroup)":  spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup"}),
			"with noexec (/v)":            spec.WithMount(spec.Bind("/srv", "/v", "noexec")),
			"with nr_inodes=3 (/tmp)":     spec.WithMount(specs.Mount{Destination: "/tmp", Type: "tmpfs", Options: []string{"nr_inodes=3"}}),
			"devpts in a /dev of its own": spec.WithoutMount("/dev"),
			"inheritable and ambient":     change(func(s *specs.Spec) { s.Process.Capabilities.Ambient = []string{"CAP_KILL"} }),
			"2 mappings":                  change(func(s *specs.Spec) { s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{}) }),
			"not in the user namespace's": change(func(s *specs.Spec) { s.Process.User.UID = 1 << 17 }),
			"runs no hooks":               change(func(s *specs.Spec) { s.Hooks = &specs.Hooks{} }),
			"by a user namespace only":    change(func(s *specs.Spec) { spec.WithoutNamespace(specs.UserNamespace).Apply(s); s.Process.User.GID = 5 }),
			"the user by a user": change(func(s *specs.Spec) {
				spec.WithoutNamespace(specs.UserNamespace).Apply(s)
				s.Process.User = specs.User{UID: 1 << 31, GID: 1 << 31}
			}),
			"read-only always":        change(func(s *specs.Spec) { spec.WithoutNamespace(specs.UserNamespace).Apply(s); s.Linux.ReadonlyPaths = nil }),
			"a uts namespace of the":  spec.JoinNamespace(specs.UTSNamespace, "/proc/1/ns/uts"),
			"without a value":         change(func(s *specs.Spec) { s.Process.Env = []string{"A"} }),
			"one set of capabilities": change(func(s *specs.Spec) { s.Process.Capabilities.Effective = []string{"CAP_KILL"} }),
			"rbind (/v)":              spec.WithMount(specs.Mount{Destination: "/v", Source: "/", Type: "bind", Options: []string{"bind"}}),
			"no flags of a seccomp":   change(func(s *specs.Spec) { s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog} }),
		},
		"unshare": {
			"would mount on the host":    spec.WithoutNamespace(specs.MountNamespace),
			"no seccomp filter":          change(func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} }),
			"the container's root alone": change(func(s *specs.Spec) { s.Process.User.UID = 3 }),
			"root alone":                 change(func(s *specs.Spec) { s.Process.User = specs.User{UID: 1 << 31, GID: 1 << 31} }),
			"that are root's": change(func(s *specs.Spec) {
				spec.WithoutNamespace(specs.UserNamespace).Apply(s)
				s.Linux.Devices = []specs.LinuxDevice{{GID: new(uint32(5))}}
			}),
			"needs CAP_SYS_CHROOT":        change(func(s *specs.Spec) { s.Process.Capabilities.Bounding = nil }),
			"whole seconds":               change(func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Nanosecs: 1}} }),
			"a uts namespace of the":      change(func(s *specs.Spec) { spec.WithoutNamespace(specs.UTSNamespace).Apply(s); s.Hostname = "cellwall-no" }),
			"own only":                    spec.JoinNamespace(specs.UTSNamespace, "/proc/1/ns/uts"),
			"vm.swappiness belongs to no": change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"vm.swappiness": "1"} }),
			"without a new network": change(func(s *specs.Spec) {
				spec.WithoutNamespace(specs.NetworkNamespace).Apply(s)
				s.Linux.Sysctl = map[string]string{"net.x": "1"}
			}),
			"without a new ipc": change(func(s *specs.Spec) {
				spec.JoinNamespace(specs.IPCNamespace, "/proc/1/ns/ipc").Apply(s)
				s.Linux.Sysctl = map[string]string{"kernel.msgmni": "1"}
			}),
			"key \"net/../vm\"":           change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net/../vm": "1"} }),
			"one set of capabilities":     change(func(s *specs.Spec) { s.Process.Capabilities.Effective = []string{"CAP_KILL"} }),
			"set of capabilities for all": change(func(s *specs.Spec) { s.Process.Capabilities.Permitted = []string{"CAP_KILL"} }),
			"with rro (/v)":               spec.WithMount(spec.Bind("/srv", "/v", "rro")),
			"no cgroups (/sys/fs/cgroup)": spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup"}),
			"no oom_score_adj":            change(func(s *specs.Spec) { n := 5; s.Process.OOMScoreAdj = &n }),
			"without a value":             change(func(s *specs.Spec) { s.Process.Env = []string{"A"} }),
		},
		"chroot": {
			"mounts nothing":         spec.WithMount(spec.Bind("/srv", "/v")),
			"makes no namespaces":    spec.JoinNamespace(specs.PIDNamespace, ""),
			"in the root directory":  change(func(s *specs.Spec) { s.Process.Cwd = "/tmp" }),
			"a uts namespace of the": change(func(s *specs.Spec) { s.Hostname = "cellwall-no" }),
			"capability away": change(func(s *specs.Spec) {
				held, _ := kernel.HeldCapabilities()
				s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: held, Permitted: append(held, "CAP_KILL")}
			}),
			"takes no capability away": change(func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{Ambient: []string{"CAP_KILL"}} }),
			"sets no no_new_privs":     change(func(s *specs.Spec) { s.Process.NoNewPrivileges = true }),
		},
		"exec:" + examples(t)[0]: {
			"to change mounts":           spec.WithMount(spec.Bind("/srv", "/v")),
			"a uts namespace of the":     change(func(s *specs.Spec) { spec.WithoutNamespace(specs.UTSNamespace).Apply(s); s.Hostname = "cellwall-no" }),
			"to change process.rlimits":  spec.WithRlimit("RLIMIT_NOFILE", 7),
			"to change linux.namespaces": spec.WithoutNamespace(specs.PIDNamespace),
			"to change process.user.uid": change(func(s *specs.Spec) { s.Process.User.UID = 1 }),
			"to change linux.resources":  change(func(s *specs.Spec) { s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &one}} }),
		},
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			rt, err := driver.Find(t.Context(), name, nil)
			if errors.Is(err, driver.ErrAbsent) {
				t.Skip(err)
			}
			check(t, err)
			rung := spec.Hardened
			if strings.HasPrefix(name, "exec:") {
				rung = rt.Floor()
			}
			held, err := kernel.HeldCapabilities()
			check(t, err)
			s, _ := rt.Lacks().Apply(spec.New(rung, spec.Options{Rootfs: "/srv/root", Args: []string{"/p"}, Capabilities: held, HostID: 1 << 20, IDCount: 1 << 16}))
			if err := rt.Expresses(driver.Bundle{Spec: s}); err != nil {
				t.Fatalf("what it lacks is taken out, and still: %v", err)
			}
			for want, edit := range cases {
				edited, omit := spec.Edits{edit}.Apply(s)
				err := rt.Expresses(driver.Bundle{Spec: edited, Omit: omit})
				if !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v", want, err)
				}
			}
		})
	}
}

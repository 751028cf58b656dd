package driver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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

// examples are the templates of the documentation.
func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../docs/examples/*.yaml")
	check(t, err)
	if len(files) < 2 {
		t.Fatalf("examples: %q", files)
	}
	return files
}

// eachTool calls f for every tool at each rung that it makes containers of.
func eachTool(t *testing.T, program string, f func(t *testing.T, s *stand, rt driver.Runtime)) {
	type subject struct {
		name string
		rung spec.Rung
	}
	subjects := []subject{
		{"bwrap", spec.Namespaces}, {"bwrap", spec.Hardened}, {"unshare", spec.Namespaces}, {"unshare", spec.Hardened}, {"chroot", spec.Chroot},
	}
	for _, file := range examples(t) {
		subjects = append(subjects, subject{"exec:" + file, spec.Namespaces})
	}
	for _, sub := range subjects {
		t.Run(filepath.Base(sub.name)+" "+string(sub.rung), func(t *testing.T) {
			s := newStand(t, program)
			o := spec.Options{Rootfs: s.bundle.Spec.Root.Path, Args: s.bundle.Spec.Process.Args, HostID: 1 << 20, IDCount: 1 << 16}
			var err error
			o.Capabilities, err = kernel.HeldCapabilities()
			check(t, err)
			s.bundle.Spec = spec.New(sub.rung, o)
			rt := s.find(t, sub.name)
			check(t, rt.Expresses(s.bundle))
			f(t, s, rt)
		})
	}
}

func TestLifeOfATool(t *testing.T) {
	eachTool(t, "exit", func(t *testing.T, s *stand, rt driver.Runtime) {
		if version, err := rt.Version(t.Context()); err != nil || version == "" {
			t.Errorf("version %q, %v", version, err)
		}
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		if _, err := c.Wait(t.Context()); err == nil {
			t.Error("a container that was not started has ended")
		}
		if c.Pid() != 0 || c.State().ID != s.bundle.ID {
			t.Errorf("created: pid %d, state %+v", c.Pid(), c.State())
		}
		check(t, c.Start(t.Context()))
		if err := c.Start(t.Context()); err == nil {
			t.Error("it could be started twice")
		}
		status, err := c.Wait(t.Context())
		if err != nil || status.Code != 7 || status.Signal != 0 {
			t.Errorf("ended: %+v, %v", status, err)
		}
		if err := c.Kill(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("kill of one that has ended: %v", err)
		}
		for range 2 { // it is idempotent
			check(t, c.Delete(t.Context()))
		}
		s.clean(t)
	})
}

func TestKillOfATool(t *testing.T) {
	eachTool(t, "wait", func(t *testing.T, s *stand, rt driver.Runtime) {
		in, hold, err := os.Pipe()
		check(t, err)
		defer hold.Close()
		s.bundle.Stdin = in
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("wait for one that runs: %v", err)
		}
		procs := s.procs(t)
		if !slices.ContainsFunc(procs, func(p string) bool { return p == strings.Join(s.bundle.Spec.Process.Args, "\x00")+"\x00" }) {
			t.Errorf("Start returned before the program had begun: %q", procs)
		}
		check(t, c.Kill(unix.SIGKILL))
		if status, err := c.Wait(t.Context()); err != nil || status.Code == 0 && status.Signal == 0 {
			t.Errorf("ended: %+v, %v", status, err)
		}
		check(t, c.Delete(t.Context()))
		s.clean(t)
	})
}

// procs are the arguments of the processes in the container's group.
func (s *stand) procs(t *testing.T) []string {
	t.Helper()
	pids, err := s.parent.Procs()
	check(t, err)
	var all []string
	for _, pid := range pids {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil {
			all = append(all, string(args))
		}
	}
	return all
}

// TestDeleteOfARunningTool ends a container that nobody has killed, also one that never started.
func TestDeleteOfARunningTool(t *testing.T) {
	eachTool(t, "wait", func(t *testing.T, s *stand, rt driver.Runtime) {
		in, hold, err := os.Pipe()
		check(t, err)
		defer hold.Close()
		s.bundle.Stdin = in
		for _, starts := range []bool{false, true} {
			c, err := rt.Create(t.Context(), s.bundle)
			check(t, err)
			if starts {
				check(t, c.Start(t.Context()))
			}
			check(t, c.Delete(t.Context()))
			if procs := s.procs(t); len(procs) > 0 {
				t.Errorf("left: %q", procs)
			}
			s.clean(t)
		}
	})
}

// TestFailedTool has the tool refuse: its own words come back, and reach the container's standard error
// too.
func TestFailedTool(t *testing.T) {
	eachTool(t, "exit", func(t *testing.T, s *stand, rt driver.Runtime) {
		read, write, err := os.Pipe()
		check(t, err)
		defer read.Close()
		s.bundle.Stderr = write
		s.bundle.Spec.Process.Args[0] = "/cellwall-none"
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		err = c.Start(t.Context())
		check(t, write.Close()) // the container has its own
		if err == nil || !strings.Contains(err.Error(), "cannot make the container") || !strings.Contains(err.Error(), "/cellwall-none") || strings.Contains(err.Error(), "\n") {
			t.Errorf("start of a program that is not there: %v", err)
		}
		if errors.Is(err, kernel.ErrNotSupported) {
			t.Errorf("a failure is no lack: %v", err)
		}
		if _, again := c.Wait(t.Context()); again == nil || again.Error() != err.Error() {
			t.Errorf("wait says %v, start %v", again, err)
		}
		check(t, c.Delete(t.Context()))
		text, err := io.ReadAll(read)
		if err != nil || !strings.Contains(string(text), "/cellwall-none") {
			t.Errorf("on its standard error is %q, %v", text, err)
		}
		s.clean(t)
	})
}

// TestToolIDs makes containers whose ids are no names: their groups lie below the parent all the same.
func TestToolIDs(t *testing.T) {
	s := newStand(t, "exit")
	rt := s.find(t, "bwrap")
	for _, id := range []string{"../out", "", "..", "a/b", "x\n", "x\x00", strings.Repeat("x", 4096)} {
		b := s.bundle
		b.ID = id
		c, err := rt.Create(t.Context(), b)
		check(t, err)
		groups, err := filepath.Glob(filepath.Join(s.parent.Path("pids"), "tool-*"))
		if err != nil || len(groups) != 1 {
			t.Errorf("id %.20q: groups %q, %v", id, groups, err)
		}
		check(t, c.Start(t.Context()))
		_, err = c.Wait(t.Context())
		check(t, err)
		check(t, c.Delete(t.Context()))
	}
	s.clean(t)
	if _, err := rt.Create(t.Context(), driver.Bundle{ID: "a", Spec: s.bundle.Spec}); err == nil || !strings.Contains(err.Error(), "cgroup") {
		t.Errorf("a container without a group above it: %v", err)
	}
}

// TestToolLeavesSomething has a tool that ends and leaves a process where its pid namespace should have
// taken it along. Delete names it, and kills it.
func TestToolLeavesSomething(t *testing.T) {
	s := newStand(t, "exit")
	file := filepath.Join(t.TempDir(), "careless.yaml")
	check(t, os.WriteFile(file, []byte(`name: careless
version: [echo, careless, "1"]
command: [sh, -c, "sleep 1000 </dev/null >/dev/null 2>&1 & exit 0", sh, "{cmd}"]
rung: namespaces
claims: ["*"]
`), 0o600))
	held, err := kernel.HeldCapabilities()
	check(t, err)
	s.bundle.Spec = spec.New(spec.Namespaces, spec.Options{Rootfs: s.bundle.Spec.Root.Path, Args: s.bundle.Spec.Process.Args, Capabilities: held})
	rt := s.find(t, "exec:"+file)
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	check(t, c.Start(t.Context()))
	if status, err := c.Wait(t.Context()); err != nil || status.Code != 0 {
		t.Errorf("ended: %+v, %v", status, err)
	}
	if err := c.Delete(t.Context()); err == nil || !strings.Contains(err.Error(), "(sleep)") {
		t.Errorf("the error does not name what was left: %v", err)
	}
	if procs := s.procs(t); len(procs) > 0 {
		t.Errorf("left: %q", procs)
	}
	s.clean(t)
}

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

// TestToolExpresses changes a spec that a tool can make by one thing at a time.
func TestToolExpresses(t *testing.T) {
	change := func(f func(*specs.Spec)) spec.Edit { return spec.Change("", f) }
	one := int64(1)
	for name, cases := range map[string]map[string]spec.Edit{
		"bwrap": {
			"a step of the core":          spec.Omitting("nothing", "close-descriptors"),
			"host's root directory":       spec.HostRoot(),
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
			"read-only always":            change(func(s *specs.Spec) { spec.WithoutNamespace(specs.UserNamespace).Apply(s); s.Linux.ReadonlyPaths = nil }),
			"a uts namespace of the":      spec.JoinNamespace(specs.UTSNamespace, "/proc/1/ns/uts"),
			"without a value":             change(func(s *specs.Spec) { s.Process.Env = []string{"A"} }),
			"one set of capabilities":     change(func(s *specs.Spec) { s.Process.Capabilities.Effective = []string{"CAP_KILL"} }),
			"rbind (/v)":                  spec.WithMount(specs.Mount{Destination: "/v", Source: "/", Type: "bind", Options: []string{"bind"}}),
			"no flags of a seccomp":       change(func(s *specs.Spec) { s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog} }),
		},
		"unshare": {
			"would mount on the host":     spec.WithoutNamespace(specs.MountNamespace),
			"no seccomp filter":           change(func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} }),
			"the container's root alone":  change(func(s *specs.Spec) { s.Process.User.UID = 3 }),
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

// TestJoinedNamespace starts a tool in a namespace that it does not make.
func TestJoinedNamespace(t *testing.T) {
	eachTool(t, "wait", func(t *testing.T, s *stand, rt driver.Runtime) {
		if strings.HasPrefix(rt.Name(), driver.ExecPrefix) {
			return // its line makes a network namespace always
		}
		other := exec.Command("sleep", "1000")
		other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		check(t, other.Start())
		defer func() { _, _ = other.Process.Kill(), other.Wait() }()
		want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", other.Process.Pid))
		check(t, err)
		in, hold, err := os.Pipe()
		check(t, err)
		defer hold.Close()
		s.bundle.Stdin = in
		edits := spec.Edits{
			spec.WithoutNamespace(specs.NetworkNamespace), spec.WithoutMount("/sys"),
			spec.StandIn(specs.NetworkNamespace, fmt.Sprintf("/proc/%d/ns/net", other.Process.Pid)),
		}
		s.bundle.Spec, _ = edits.Apply(s.bundle.Spec)
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		defer func() { check(t, c.Delete(t.Context())) }()
		check(t, c.Start(t.Context()))
		pids, err := s.parent.Procs()
		check(t, err)
		for _, pid := range pids {
			if got, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil || got != want {
				t.Errorf("process %d is in %s, want %s (%v)", pid, got, want, err)
			}
		}
	})
}

package driver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
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

// subject is a tool at a rung that it makes containers of.
type subject struct {
	name string
	rung spec.Rung
}

// ownTools are the tools that have a driver of their own: nothing but what it lacks is fixed.
func ownTools() []subject {
	return []subject{
		{"bwrap", spec.Namespaces}, {"bwrap", spec.Hardened}, {"unshare", spec.Namespaces}, {"unshare", spec.Hardened}, {"chroot", spec.Chroot},
		{"systemd-nspawn", spec.Namespaces}, {"systemd-nspawn", spec.Hardened}, {"lxc-execute", spec.Namespaces}, {"lxc-execute", spec.Hardened},
	}
}

// eachTool calls f for every tool at each rung that it makes containers of, the templates too.
func eachTool(t *testing.T, program string, f func(t *testing.T, s *stand, rt driver.Runtime)) {
	subjects := ownTools()
	for _, file := range examples(t) {
		subjects = append(subjects, subject{"exec:" + file, spec.Namespaces})
	}
	each(t, subjects, program, f)
}

func each(t *testing.T, subjects []subject, program string, f func(t *testing.T, s *stand, rt driver.Runtime)) {
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
		s.holds(t)
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
		s.holds(t)
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
		if silent := rt.Name() == "lxc-execute"; err != nil || strings.Contains(string(text), "/cellwall-none") == silent {
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

// TestToolLeavesSomething has a tool that ends and leaves a process, where its pid namespace should have
// taken it along and where it has none. Delete names it, and kills it.
func TestToolLeavesSomething(t *testing.T) {
	for _, lacks := range []string{"", "lacks: [pid-namespace]\n"} {
		t.Run(lacks, func(t *testing.T) { leavesSomething(t, lacks) })
	}
}

func leavesSomething(t *testing.T, lacks string) {
	t.Helper()
	s := newStand(t, "exit")
	file := filepath.Join(t.TempDir(), "careless.yaml")
	check(t, os.WriteFile(file, []byte(`name: careless
version: [echo, careless, "1"]
command: [sh, -c, "sleep 1000 </dev/null >/dev/null 2>&1 & exit 0", sh, "{cmd}"]
rung: namespaces
claims: ["*"]
`+lacks), 0o600))
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
	var left *cleanup.Left
	if err := c.Delete(t.Context()); !errors.As(err, &left) || len(left.What) != 1 || !strings.Contains(left.What[0], "(sleep)") || left.Who != rt.Name() {
		t.Errorf("the error does not name what was left: %v", err)
	}
	if procs := s.procs(t); len(procs) > 0 {
		t.Errorf("left: %q", procs)
	}
	s.clean(t)
}

// TestJoinedNamespace starts a tool in a namespace that it does not make. The line of a template makes one
// always.
func TestJoinedNamespace(t *testing.T) {
	each(t, ownTools(), "wait", func(t *testing.T, s *stand, rt driver.Runtime) {
		// Its thread is what the other dies with: no goroutine may end that before.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		other := exec.Command("sleep", "1000")
		other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		check(t, other.Start())
		defer func() { _, _ = other.Process.Kill(), other.Wait() }()
		want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", other.Process.Pid))
		check(t, err)
		s.holds(t)
		edits := spec.Edits{
			spec.WithoutNamespace(specs.NetworkNamespace),
			spec.StandIn(specs.NetworkNamespace, fmt.Sprintf("/proc/%d/ns/net", other.Process.Pid)),
		}
		if rt.Name() != "systemd-nspawn" { // which mounts one always
			edits = append(edits, spec.WithoutMount("/sys"))
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

package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/spec"
)

// filtered is the spec of a hardened container with a filter that lets only some calls pass.
func filtered(action specs.LinuxSeccompAction, pass ...string) *specs.Spec {
	s := spec.New(spec.Hardened, spec.Options{Rootfs: "/nonesuch", Args: []string{"/program"}, HostID: 1 << 20, IDCount: 1 << 16})
	s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: action}
	if len(pass) > 0 {
		s.Linux.Seccomp.Syscalls = []specs.LinuxSyscall{{Names: pass, Action: specs.ActAllow}}
	}
	return s
}

// TestFilterOfTheLastSteps: a child shares the launcher's memory only if its own filter lets it end.
func TestFilterOfTheLastSteps(t *testing.T) {
	late := []string{"execve", "write", "exit_group"}
	all := slices.Concat(late, []string{
		"prctl", "setgroups", "setresgid", "setresuid", "umask", "capset", "read", "close_range", "rt_sigprocmask", "openat2", "fchdir", "setsid", "prlimit64",
	})
	own := spec.New(spec.Hardened, spec.Options{Rootfs: "/nonesuch", Args: []string{"/program"}, HostID: 1 << 20, IDCount: 1 << 16})
	if own.Linux.Seccomp == nil {
		t.Fatal("the rung has no filter")
	}
	for _, test := range []struct {
		name   string
		spec   *specs.Spec
		early  bool // without no_new_privs the filter is loaded before the steps that need rights
		shared bool
		err    string
	}{
		{name: "is our own", spec: own, shared: true},
		{name: "lets what is needed pass", spec: filtered(specs.ActKillProcess, late...), shared: true},
		{name: "lets all pass but kills others", spec: filtered(specs.ActAllow), shared: true},
		{name: "kills who reports", spec: filtered(specs.ActKillProcess, "execve", "exit_group")},
		{name: "lets nobody end", spec: filtered(specs.ActErrno, "execve", "write")},
		{name: "is loaded early", spec: filtered(specs.ActKillProcess, late...), early: true},
		{name: "is loaded early and lets what is needed pass", spec: filtered(specs.ActKillProcess, all...), early: true, shared: true},
		{name: "lets nothing start", spec: filtered(specs.ActErrno), err: "execve"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.spec.Process.NoNewPrivileges = !test.early
			plan, err := Compile(Request{Spec: test.spec, Host: Host{LastCapability: 40, MountSetattr: true, TimeAtExec: true}})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("compile: %v, want an error that names %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if shared := plan.Flags&unix.CLONE_VM != 0; shared != test.shared {
				t.Errorf("shares memory: %v, want %v", shared, test.shared)
			}
		})
	}
}

// TestChildThatMayNotEnd: a child whose filter refuses its report and its end is not there for ever.
func TestChildThatMayNotEnd(t *testing.T) {
	l, _ := intact(t)
	s := hardened(t)
	s.Linux.Seccomp = filtered(specs.ActErrno, "execve").Linux.Seccomp
	plan, err := Compile(Request{Spec: s, Host: l.host})
	if err != nil {
		t.Fatal(err)
	}
	var undo cleanup.Stack
	defer func() {
		if err := undo.Close(); err != nil {
			t.Error(err)
		}
	}()
	handles, err := standard(&undo, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.launch(t.Context(), plan, nil, handles, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	undo.Push("end the child", c.undo.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.start(ctx); errors.Is(err, context.DeadlineExceeded) {
		t.Error("its program is missing, and it does not end")
	}
}

package driver_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// realRunsc is the host's runsc on a platform, by a script as its page in docs/runtimes has it.
func realRunsc(t *testing.T, platform string) string {
	t.Helper()
	path, err := exec.LookPath("runsc")
	if err != nil {
		t.Skip(err)
	}
	script := filepath.Join(t.TempDir(), "runsc-"+platform)
	check(t, os.WriteFile(script, []byte("#!/bin/sh\nexec "+path+" --platform="+platform+` "$@"`+"\n"), 0o755))
	return "runsc@" + platform + "=" + script
}

func TestRealRunsc(t *testing.T) {
	for _, platform := range []string{"systrap", "ptrace"} {
		t.Run(platform, func(t *testing.T) {
			s := newStand(t, "exit")
			rt := s.find(t, realRunsc(t, platform))
			if rt.Name() != "runsc@"+platform || !driver.Sandboxed(rt) {
				t.Errorf("it is %s, a sandbox: %v", rt.Name(), driver.Sandboxed(rt))
			}
			container, err := rt.Create(t.Context(), s.bundle)
			check(t, err)
			defer func() { check(t, container.Delete(t.Context())) }()
			args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", container.Pid()))
			check(t, err)
			for _, want := range []string{"runsc-sandbox", "--platform=" + platform, "--overlay2=none", "--network=none"} {
				if !strings.Contains(string(args), want) {
					t.Errorf("no %s in the sandbox's %q", want, args)
				}
			}
			check(t, container.Start(t.Context()))
			if status, err := container.Wait(t.Context()); err != nil || status.Code != 7 {
				t.Errorf("ended: %+v, %v", status, err)
			}
			check(t, container.Delete(t.Context()))
			s.clean(t)
		})
	}
}

func TestRealRunscIsKilled(t *testing.T) {
	s := newStand(t, "wait")
	in, keep, err := os.Pipe()
	check(t, err)
	defer func() { check(t, errors.Join(in.Close(), keep.Close())) }()
	s.bundle.Stdin = in
	container, err := s.find(t, realRunsc(t, "systrap")).Create(t.Context(), s.bundle)
	check(t, err)
	defer func() { check(t, container.Delete(t.Context())) }()
	check(t, container.Start(t.Context()))
	check(t, container.Kill(unix.SIGKILL))
	if _, err := container.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if err := container.Kill(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("killed twice: %v", err)
	}
	check(t, container.Delete(t.Context()))
	s.clean(t)
}

// TestRealRunscFailsToCreate: what it leaves is named, and gone; and so is why it failed, which is not its last word.
func TestRealRunscFailsToCreate(t *testing.T) {
	s := newStand(t, "exit")
	rt := s.find(t, realRunsc(t, "systrap"))
	check(t, os.WriteFile(s.bundle.Spec.Root.Path+"/file", nil, 0o600))
	s.bundle.Spec, _ = spec.Edits{spec.WithMount(spec.Bind(t.TempDir(), "/file"))}.Apply(s.bundle.Spec)
	_, err := rt.Create(t.Context(), s.bundle)
	var left *cleanup.Left
	if err == nil || !strings.Contains(err.Error(), "not a directory") || !errors.As(err, &left) || !strings.Contains(left.Error(), "cgroup") {
		t.Errorf("a directory on a file: %v", err)
	}
	s.clean(t)
}

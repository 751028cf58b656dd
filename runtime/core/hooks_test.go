package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// telling returns hooks of every moment, each of which writes down its state and its environment.
func telling(dir string) *specs.Hooks {
	tell := func(name string) []specs.Hook {
		return []specs.Hook{{
			Path: "/bin/sh", Args: []string{"sh", "-c", "/bin/cat > $TO.state; /usr/bin/env > $TO.env"}, Env: []string{"TO=" + filepath.Join(dir, name)},
		}}
	}
	return &specs.Hooks{CreateRuntime: tell("create"), Poststart: tell("start"), Poststop: tell("stop")}
}

// TestHooks: each moment's hooks get the container's state of that moment, and no environment but
// their own.
func TestHooks(t *testing.T) {
	f := newFixture(t)
	t.Setenv("CELLWALL_SECRET", "1")
	dir := t.TempDir()
	c, _ := f.hold(t, spec.Namespaces, func(s *specs.Spec) { s.Hooks = telling(dir) })
	pid := c.Pid()
	check(t, c.Delete())
	for name, want := range map[string]specs.State{
		"create": {Status: specs.StateCreating, Pid: pid},
		"start":  {Status: specs.StateRunning, Pid: pid},
		"stop":   {Status: specs.StateStopped},
	} {
		raw, err := os.ReadFile(filepath.Join(dir, name+".state"))
		if err != nil {
			t.Fatal(err)
		}
		var got specs.State
		if err := json.Unmarshal(raw, &got); err != nil || got.ID != "held" || got.Status != want.Status || got.Pid != want.Pid {
			t.Errorf("%s: state %s, %v", name, raw, err)
		}
		env, err := os.ReadFile(filepath.Join(dir, name+".env"))
		if err != nil || strings.Contains(string(env), "CELLWALL_SECRET") || !strings.Contains(string(env), "TO=") {
			t.Errorf("%s: the environment is not its own alone (%v)", name, err)
		}
	}
}

// TestHooksThatFail: without its create hooks there is no container, and without its start hooks none
// that runs.
func TestHooksThatFail(t *testing.T) {
	f := newFixture(t)
	fails := []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo because; exit 3"}}}
	o := f.options
	o.Args = []string{program, "wait"}
	s := spec.New(spec.Namespaces, o)
	dir := t.TempDir()
	s.Hooks = &specs.Hooks{Prestart: fails, Poststop: telling(dir).Poststop} //nolint:staticcheck // deprecated, but still in bundles
	_, err := f.launcher.Create(t.Context(), "hooked", core.Options{Spec: s, Parent: f.parent})
	if err == nil || !strings.Contains(err.Error(), `hook /bin/sh: exit status 3: "because"`) {
		t.Errorf("create: %v", err)
	}
	if state, err := os.ReadFile(filepath.Join(dir, "stop.state")); err != nil || !strings.Contains(string(state), `"status":"stopped"`) {
		t.Errorf("what the other create hooks did is not undone: %s, %v", state, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close() //nolint:errcheck // nothing is written
	s.Hooks = &specs.Hooks{Poststart: fails}
	c, err := f.launcher.Create(t.Context(), "hooked", core.Options{Spec: s, Parent: f.parent, Stdin: read})
	if err := errors.Join(err, read.Close()); err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, c.Delete()) }()
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("start: %v", err)
	}
	if status, err := c.Wait(t.Context()); err != nil || status.Signal != unix.SIGKILL {
		t.Errorf("the container has ended: %v, %v", status, err)
	}
}

// TestHookThatHangs: it ends with the context of the call, and with it what it holds up.
func TestHookThatHangs(t *testing.T) {
	f := newFixture(t)
	o := f.options
	o.Args = []string{program, "exit"}
	s := spec.New(spec.Namespaces, o)
	began := filepath.Join(t.TempDir(), "began")
	check(t, unix.Mkfifo(began, 0o600))
	s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo >" + began + "; exec sleep 60"}}}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := os.ReadFile(began)
		check(t, err)
		cancel()
	}()
	_, err := f.launcher.Create(ctx, "hangs", core.Options{Spec: s, Parent: f.parent})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v, want that it was cancelled", err)
	}
}

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
	"cellwall/runtime/kernel"
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
	for _, r := range []spec.Rung{spec.Chroot, spec.Namespaces} {
		dir := t.TempDir()
		c, _ := f.hold(t, r, func(s *specs.Spec) { s.Hooks = telling(dir) })
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

// mountingHook is the program of a create hook. Below the root directory, as the host knows it, in the container's
// mount namespace, the spec's mounts and devices are there, and what it mounts will be the container's.
func mountingHook(root string) error {
	var state specs.State
	if err := json.NewDecoder(os.Stdin).Decode(&state); err != nil {
		return err
	}
	return kernel.OnThread(func() error {
		if err := kernel.EnterMounts("/proc/" + itoa(state.Pid) + "/ns/mnt"); err != nil {
			return err
		}
		for _, made := range []string{"proc/1", "dev/null", "dev/pts/ptmx"} {
			if _, err := os.Stat(filepath.Join(root, made)); err != nil {
				return err
			}
		}
		usr := filepath.Join(root, "usr")
		if err := unix.Mount("tmpfs", usr, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(usr, "f"), []byte("hooked"), 0o644) // read by a mapped root
	})
}

// TestCreateHooksMount: the create hooks run once all is mounted, but before the root changes.
func TestCreateHooksMount(t *testing.T) {
	f := newFixture(t)
	for _, r := range []spec.Rung{spec.Namespaces, spec.Hardened} {
		hooked := spec.Change("a hook that mounts", func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/proc/self/exe", Args: []string{mounting, f.options.Rootfs}}}}
		})
		if out, _ := f.run(t, r, spec.Edits{hooked}, "cat", "/usr/f"); out != "hooked" {
			t.Errorf("%s: the container reads %q, want what the hook has mounted", r, out)
		}
	}
	if _, err := os.Stat(filepath.Join(f.options.Rootfs, "usr", "f")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the host sees what the hook has mounted: %v", err)
	}
}

// TestCreateFailsAfterItsHooks: what fails after the create hooks is named, and the poststop hooks undo what
// those did.
func TestCreateFailsAfterItsHooks(t *testing.T) {
	f := newFixture(t)
	o := f.options
	o.Args = []string{program, "exit"}
	s := spec.New(spec.Namespaces, o)
	s.Process.Cwd = "/nonesuch"
	dir := t.TempDir()
	s.Hooks = telling(dir)
	_, err := f.launcher.Create(t.Context(), "hooked", core.Options{Spec: s, Parent: f.parent})
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "working directory /nonesuch") {
		t.Errorf("create: %v", err)
	}
	for _, name := range []string{"create", "stop"} {
		if _, err := os.Stat(filepath.Join(dir, name+".env")); err != nil {
			t.Error(err)
		}
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

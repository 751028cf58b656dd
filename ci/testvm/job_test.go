package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/ci/kernels"
	"cellwall/ci/vm"
)

// chroot stands for a guest: its files in a directory that is gone afterwards, its command with
// that as its root.
func chroot(t *testing.T) func(context.Context, vm.Guest) (vm.Result, error) {
	return func(ctx context.Context, g vm.Guest) (vm.Result, error) {
		root := t.TempDir()
		null := filepath.Join(root, "dev/null")
		if err := errors.Join(os.Mkdir(filepath.Dir(null), 0o755), unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))); err != nil {
			return vm.Result{}, err
		}
		for _, f := range g.Files {
			at := filepath.Join(root, f.Path)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				return vm.Result{}, err
			}
			if f.Source == "" {
				if err := os.Symlink(f.Target, at); err != nil {
					return vm.Result{}, err
				}
				continue
			}
			text, err := os.ReadFile(f.Source)
			if err == nil {
				err = os.WriteFile(at, text, 0o755)
			}
			if err != nil {
				return vm.Result{}, err
			}
		}
		cmd := exec.CommandContext(ctx, g.Command[0], g.Command[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = "/", g.Stdout, g.Stderr, []string{"PATH=/usr/bin:/bin"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		err := cmd.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return vm.Result{Exit: exit.ExitCode()}, nil
		}
		return vm.Result{}, err
	}
}

// counted runs the tests of packages, and returns what ci/tests says of them.
func counted(t *testing.T, boot func(context.Context, vm.Guest) (vm.Result, error), flags string, packages ...string) (string, error) {
	t.Helper()
	var events, log bytes.Buffer
	j := job{kernel: kernels.Kernel{Name: "k", Arch: runtime.GOARCH}, packages: packages, flags: flags, boot: boot, out: &events, log: &log}
	if err := j.run(t.Context()); err != nil {
		report(&events, "k", err)
	}
	cmd := exec.Command("go", "run", "../tests")
	cmd.Stdin = &events
	out, err := cmd.CombinedOutput()
	return string(out) + log.String(), err
}

func TestEventsAreCounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: chroot")
	}
	for name, c := range map[string]struct {
		packages []string
		flags    string
		boot     func(context.Context, vm.Guest) (vm.Result, error)
		want     []string
		fails    bool
	}{
		"good":        {packages: []string{"./testdata/good"}, want: []string{"3 passed, 0 failed, 1 skipped", "good TestSkipped: needs a tape"}},
		"one of them": {packages: []string{"./testdata/good"}, flags: "-test.count 2 -test.run ^TestData$", want: []string{"2 passed, 0 failed, 0 skipped"}},
		"both": {
			packages: []string{"./testdata/bad", "./testdata/good"}, fails: true,
			want: []string{"fail    0.0 s  guest k\n", "ended with status 1", "no milk", "3 passed, 2 failed, 1 skipped"},
		},
		"a guest that dies after all has passed": {
			packages: []string{"./testdata/good"}, fails: true, want: []string{"3 passed, 0 failed", "fail    0.0 s  guest k\n", "kernel k: panic", "Oops: 0000\nRIP: 0010"},
			boot: func(ctx context.Context, g vm.Guest) (vm.Result, error) {
				_, err := chroot(t)(ctx, g)
				return vm.Result{Tail: []string{"Oops: 0000", "RIP: 0010"}}, errors.Join(err, errors.New("kernel k: panic"))
			},
		},
		"a shell that is killed": {
			packages: []string{"./testdata/good"}, fails: true, want: []string{"fail    0.0 s  guest k\n", "ended with status 137"},
			boot: func(context.Context, vm.Guest) (vm.Result, error) { return vm.Result{Exit: 137}, nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.boot == nil {
				c.boot = chroot(t)
			}
			out, err := counted(t, c.boot, c.flags, c.packages...)
			if (err != nil) != c.fails {
				t.Errorf("%v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}

func TestWhatCannotBe(t *testing.T) {
	never := func(context.Context, vm.Guest) (vm.Result, error) { panic("booted") }
	j := job{kernel: kernels.Kernel{Name: "k", Arch: runtime.GOARCH}, packages: []string{"./none"}, boot: never, out: io.Discard, log: io.Discard}
	if err := j.run(t.Context()); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no package: %v", err)
	}
	j.kernel.Arch = "mips"
	if err := j.run(t.Context()); err == nil || !strings.Contains(err.Error(), "kernel k is for mips") {
		t.Errorf("another architecture: %v", err)
	}
	if _, err := kernel(t.Context(), "../matrix.yaml", "debian-1", io.Discard); err == nil || !strings.Contains(err.Error(), `no kernel "debian-1"`) {
		t.Errorf("no kernel: %v", err)
	}
}

package core_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

const limited = "cellwall-limited"

// launchLimited is the program of TestOpenFiles: it says the limits of a container that is about to start.
func launchLimited(root string) (err error) {
	l, err := core.NewLauncher(core.LauncherOptions{})
	if err != nil {
		return err
	}
	s := spec.New(spec.Namespaces, spec.Options{Rootfs: root, Args: []string{program, "exit"}})
	c, err := l.Create(context.Background(), "limited", core.Options{Spec: s})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Delete()) }()
	text, err := os.ReadFile("/proc/" + itoa(c.Pid()) + "/limits")
	fmt.Printf("%s", text)
	return err
}

// TestOpenFiles: a container without a limit of its own has the one that the launcher was started with, and not
// what the Go runtime makes of that for itself.
func TestOpenFiles(t *testing.T) {
	f := newFixture(t)
	const soft = 200
	var old syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
	if old.Max <= soft {
		t.Skipf("the hard limit is %d", old.Max)
	}
	// Set by package syscall, it is what a program of package exec starts with.
	check(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: soft, Max: old.Max}))
	defer func() { check(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)) }()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args, cmd.Stderr = []string{limited, f.options.Rootfs}, os.Stderr
	out, err := cmd.Output()
	if want := regexp.MustCompile(fmt.Sprintf(`Max open files +%d +%d `, soft, old.Max)); err != nil || !want.Match(out) {
		t.Errorf("%v, want %s in\n%s", err, want, out)
	}
}

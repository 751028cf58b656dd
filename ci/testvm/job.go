package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"cellwall/ci/kernels"
	"cellwall/ci/vm"
	"cellwall/runtime/rootfs"
)

// programs of this host are what tests start.
var programs = []string{"sh", "sleep", "true", "mount", "unshare"}

// script runs the tests of one package after the other, with the flags in its first argument. test2json makes
// events of what they print, also of a test that dies.
const script = `status=0
flags=$1
shift
for p in "$@"; do
	cd "/tests/$p" && /test2json -t -p "$p" ./test -test.v=test2json $flags || status=1
done
exit $status`

// job is one guest and what it runs.
type job struct {
	kernel   kernels.Kernel
	cgroup   string
	cpus     int
	packages []string // as `go list` takes them
	flags    string   // of the tests, between spaces
	// instructions has the guest's clock count them.
	instructions bool
	boot         func(context.Context, vm.Guest) (vm.Result, error)
	out, log     io.Writer
	console      io.Writer // nil shows its end, if the guest fails
}

// run builds everything, boots the guest and passes on the events.
func (j job) run(ctx context.Context) (err error) {
	if j.kernel.Arch != runtime.GOARCH {
		return fmt.Errorf("kernel %s is for %s: tests start programs of this host, which is %s", j.kernel.Name, j.kernel.Arch, runtime.GOARCH)
	}
	packages, err := command(ctx, "list", append([]string{"-f", "{{.ImportPath}} {{.Dir}}"}, j.packages...)...)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cellwall-testvm-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g := vm.Guest{
		Kernel: j.kernel, CPUs: j.cpus, Memory: 1 << 30, Cgroup: j.cgroup, Command: []string{"/bin/sh", "-c", script, "sh", j.flags},
		Boot: 2 * time.Minute, Limit: 20 * time.Minute, Stdout: j.out, Stderr: j.log, Console: j.console,
	}
	if j.instructions {
		g.Accel, g.Instructions = vm.TCG, true
	}
	fmt.Fprintf(j.log, "%s: build the tests\n", j.kernel.Name)
	if g.Program, err = build(ctx, dir, "build", "cellwall"); err != nil {
		return err
	}
	converter, err := build(ctx, dir, "build", "cmd/test2json")
	if err != nil {
		return err
	}
	g.Files = append(g.Files, vm.File{Path: "/test2json", Source: converter})
	for line := range strings.Lines(packages) {
		name, source, _ := strings.Cut(strings.TrimSpace(line), " ")
		g.Command = append(g.Command, name)
		if err := addTests(ctx, &g, dir, name, source); err != nil {
			return err
		}
	}
	host, err := rootfs.FromHost(dir, programs...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	for _, f := range host.Files {
		file := vm.File{Path: f.Path, Target: f.Target}
		if f.Target == "" {
			file.Source = filepath.Join(host.Path(), f.Path)
		}
		g.Files = append(g.Files, file)
	}
	fmt.Fprintf(j.log, "%s: boot %s\n", j.kernel.Name, j.kernel.Release)
	r, err := j.boot(ctx, g)
	for _, note := range r.Notes {
		fmt.Fprintf(j.log, "%s: %s\n", j.kernel.Name, note)
	}
	if err != nil && j.console == nil {
		fmt.Fprintln(j.log, strings.Join(r.Tail, "\n"))
	}
	if err == nil && r.Exit != 0 {
		return fmt.Errorf("the tests in the guest ended with status %d", r.Exit) // one that died may have no event
	}
	return err
}

// addTests puts the tests of a package into the guest, with its testdata beside them.
func addTests(ctx context.Context, g *vm.Guest, dir, name, source string) error {
	binary, err := build(ctx, dir, "test", name)
	if err != nil {
		return err
	}
	home := path.Join("/tests", name)
	g.Files = append(g.Files, vm.File{Path: path.Join(home, "test"), Source: binary})
	data := filepath.Join(source, "testdata")
	return filepath.WalkDir(data, func(file string, d fs.DirEntry, err error) error {
		if file == data && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			g.Files = append(g.Files, vm.File{Path: path.Join(home, "testdata", strings.TrimPrefix(file, data)), Source: file})
		}
		return err
	})
}

// build builds a program, or the tests of a package, and returns where it is.
func build(ctx context.Context, dir, verb, pkg string) (string, error) {
	to := filepath.Join(dir, strings.ReplaceAll(pkg, "/", "-")+"-"+verb)
	args := []string{"-o", to, pkg}
	if verb == "test" {
		args = append([]string{"-c"}, args...)
	}
	_, err := command(ctx, verb, args...)
	return to, err
}

// command runs the go command, for static programs.
func command(ctx context.Context, verb string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{verb}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s %s: %w: %s", verb, strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return string(out), nil
}

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/bench/interfere"
	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/lease"
)

// TestWrongUseOfInterfere: each answer is one line that names the thing and the way out, exit status 2,
// before anything is done.
func TestWrongUseOfInterfere(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	if err := os.WriteFile(bad, []byte("{\"schema\":\"cellwall/1\",\"kind\":\"run\",\"id\":\"r\"}\n{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{args: []string{"cpu"}, want: "cpu"},
		{args: []string{"--victims", "moon"}, want: `victim "moon" is none of cpu, request, fsync, fork, echo (cellwall interfere --list shows them all)`},
		{args: []string{"--antagonists", "cpu,moon"}, want: `antagonist "moon" is none of cpu, memory`},
		{args: []string{"--runtime", "moon"}, want: "--runtime: runtime \"moon\" is unknown"},
		{args: []string{"--rungs", "moon"}, want: "moon"},
		{args: []string{"--rungs", "chroot"}, want: "--rungs chroot: a neighbour has a PID and a network namespace of its own: from namespaces on"},
		{args: []string{"--rungs", "limits,limits"}, want: "one is there twice"},
		{args: []string{"--means", "moon"}, want: `--means: means "moon" is none of weight, quota, cpuset`},
		{args: []string{"--means", "io+io"}, want: `means "io" is there twice`},
		{args: []string{"--means", "io+"}, want: `means "" is none of`},
		{args: []string{"--rungs", "", "--means", ""}, want: "nothing is to be measured"},
		{args: []string{"--samples", "5"}, want: "--samples 5: want 6 or more"},
		{args: []string{"--samples", "-1"}, want: "--samples -1: want 6 or more"},
		{args: []string{"--samples", "8", "--for", "1m"}, want: "give one of them"},
		{args: []string{"--for", "-1m"}, want: "want a time, such as 10m"},
		{args: []string{"--window", "1ms"}, want: "--window 1ms: want from 20ms to 2s"},
		{args: []string{"--window", "1h"}, want: "--window 1h0m0s: want from 20ms to 2s"},
		{args: []string{"--format", "pdf"}, want: `--format "pdf" is none of text, markdown, svg, jsonl`},
		{args: []string{"--format", "text,svg"}, want: "needs --out"},
		{args: []string{"--from", bad}, want: bad + ":2: "},
		{args: []string{"--from", bad + ".none"}, want: "no such file"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errs := call(t, append([]string{"interfere"}, c.args...)...)
			if code != exitUsage {
				t.Errorf("exit status %d, want %d", code, exitUsage)
			}
			if out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "cellwall: ") || !strings.Contains(errs, c.want) {
				t.Errorf("stdout %q, stderr %q, want one line with %q", out, errs, c.want)
			}
		})
	}
}

func TestInterfereList(t *testing.T) {
	code, out, errs := call(t, "interfere", "--list")
	want := len(interfere.Victims()) + len(interfere.Antagonists()) + len(interfere.AllMeans())
	if code != 0 || errs != "" || strings.Count(out, "\n") != want {
		t.Errorf("exit status %d, %d lines, want %d, stderr %q", code, strings.Count(out, "\n"), want, errs)
	}
}

// TestSettings: every means that an antagonist names is one, and settings have the names that people give.
func TestSettings(t *testing.T) {
	pairs, err := interfere.Pairs([]string{"request"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rungs, means []string
		want         string // of the antagonist cpu
	}{
		{[]string{"namespaces", "limits"}, []string{"fitting"}, "namespaces limits limits+weight limits+cpuset"},
		{[]string{"namespaces"}, nil, "namespaces"},
		{nil, []string{"cpuset+io", "quota"}, "limits+cpuset+io limits+quota"},
		{[]string{"hardened"}, []string{"cpuset", "fitting"}, "hardened limits+cpuset limits+weight"},
	} {
		f := interfereFlags{rungs: c.rungs, means: c.means}
		settings, err := f.settings()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pairs {
			var names []string
			for _, s := range settings(p) {
				names = append(names, s.Name())
			}
			if sorted := slices.Sorted(slices.Values(names)); len(slices.Compact(sorted)) != len(names) {
				t.Errorf("%s: %v", p.Antagonist.Name, names)
			}
			if got := strings.Join(names, " "); p.Antagonist.Name == "cpu" && got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		}
	}
}

// TestInterfere measures one small cell and writes it again from its records. It checks what is there, not
// how large it is.
func TestInterfere(t *testing.T) {
	run, dir := cellwall(t), t.TempDir()
	code, out, errs := run("interfere", "--victims", "request", "--antagonists", "cpu", "--rungs", "namespaces,limits", "--means", "", "--samples", "6",
		"--window", "30ms", "--seed", "7", "--out", dir, "--format", "text,markdown,svg", "-v")
	if code != 0 || errs != "[1/1] cpu with request\n" {
		t.Errorf("exit status %d, stderr %q", code, errs)
	}
	for _, want := range []string{"interference on ", "seed 7: 6 blocks of four turns of 30ms", "request beside cpu at namespaces", "antagonist's limits: cpu 100ms in 100ms", "memory 768 MiB, tasks 1024"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for name, want := range map[string]string{"interference.md": "## namespaces", "interference.svg": "request beside cpu at limits"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, want %q in it", name, err, want)
		}
	}
	path := filepath.Join(dir, "interference.jsonl")
	code, second, errs := call(t, "interfere", "--from", path, "-v")
	if code != 0 || errs != "" || second != out {
		t.Errorf("exit status %d, stderr %q, written again it is\n%s", code, errs, second)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read-only
	set, err := record.Read(path, file)
	if err != nil {
		t.Fatal(err)
	}
	_, all, err := set.Interfered()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	if code, _, errs := call(t, "interfere", "--from", path+","+path); code != exitUsage || !strings.Contains(errs, path+":2: it is there twice") && !strings.Contains(errs, "it is there twice, the other at "+path+":2") {
		t.Errorf("exit status %d, stderr %q", code, errs)
	}
}

// TestInterfereLeavesNothing: where it is interrupted by itself, where it is killed after cellwall clean. In
// both cases an antagonist is at work then.
func TestInterfereLeavesNothing(t *testing.T) {
	program := build(t)
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		cmd := exec.Command(program, "interfere", "--victims", "fsync", "--antagonists", "inodes", "--rungs", "namespaces", "--means", "", "--for", "10m", "--window", "2s")
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		name := leaseOf(t, cmd.Process.Pid)
		atWork(t, name)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if sig == os.Interrupt && cmd.ProcessState.ExitCode() != exitInconclusive {
			t.Errorf("exit status %d after an interrupt", cmd.ProcessState.ExitCode())
		}
		if sig == os.Kill {
			if said, err := exec.Command(program, "clean").CombinedOutput(); err != nil || !strings.Contains(string(said), name) {
				t.Errorf("clean: %v: %s", err, said)
			}
		}
		groups, err := cgroup.FindLeft(name)
		if err != nil || len(groups) > 0 {
			t.Errorf("after %v: %v, %v", sig, groups, err)
		}
		for _, dir := range append(interfere.DiskParents(), lease.Default, sharedMemory, lease.OnDisk) {
			if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after %v: %s is in %s: %v", sig, name, dir, err)
			}
		}
	}
}

// leaseOf is the name of the lease that a process holds.
func leaseOf(t *testing.T, pid int) string {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && filepath.Dir(to) == lease.Default && lease.Of(filepath.Base(to)) != "" {
			return filepath.Base(to)
		}
	}
	t.Fatal("it holds no lease")
	return ""
}

// atWork waits until the containers of a lease's fence hold an antagonist's workers beside the two that are
// always there.
func atWork(t *testing.T, name string) {
	t.Helper()
	root, err := cgroup.Mounted("pids")
	if err != nil {
		t.Fatal(err)
	}
	for {
		n := 0
		lists, err := filepath.Glob(filepath.Join(root, name+"-host", "*", "cgroup.procs"))
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range lists {
			if text, err := os.ReadFile(list); err == nil {
				n += strings.Count(string(text), "\n")
			}
		}
		if n > 2 {
			return
		}
		if err := unix.Access(filepath.Join(lease.Default, name), unix.F_OK); err != nil {
			t.Fatalf("it has ended: %v", err)
		}
	}
}

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/lease"
)

// TestWrongUseOfBench: each answer is one line that names the thing and the way out, exit status 2, before
// anything is done.
func TestWrongUseOfBench(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{args: []string{"start.exec"}, want: "start.exec"},
		{args: []string{"--only", "moon.*"}, want: `--only "moon.*" matches no benchmark: the groups are start.*, cache.*`},
		{args: []string{"--only", "moon.*"}, want: "cellwall bench --list shows them all"},
		{args: []string{"--only", "[z"}, want: "[z"},
		{args: []string{"--list", "--only", "moon"}, want: "moon"},
		{args: []string{"--runtime", "moon"}, want: "moon"},
		{args: []string{"--runtime", "core,core"}, want: "core is there twice"},
		{args: []string{"--runtime", ""}, want: "--runtime names nothing: leave it out"},
		{args: []string{"--rung", "moon"}, want: "moon"},
		{args: []string{"--rung", "bare,bare"}, want: "one is there twice"},
		{args: []string{"--samples", "-1"}, want: "--samples -1: want 1 or more"},
		{args: []string{"--samples", "5", "--for", "10s"}, want: "give one of them"},
		{args: []string{"--for", "60"}, want: `missing unit in duration`},
		{args: []string{"--for", "-60s"}, want: "want a time, such as 60s"},
		{args: []string{"--width", "2 bananas"}, want: `--width "2 bananas": want a share, such as 5%`},
		{args: []string{"--width", "0%"}, want: `--width "0%": want a share, such as 5%`},
		{args: []string{"--width", "NaN"}, want: `--width "NaN": want a share, such as 5%`},
		{args: []string{"--effect", "200%"}, want: `--effect "200%": want a share, such as 5%`},
		{args: []string{"--warmup", "-1"}, want: "--warmup -1: want 0 or more"},
		{args: []string{"--format", "pdf"}, want: `--format "pdf" is none of text, markdown, gobench, jsonl`},
		{args: []string{"--format", "text,markdown"}, want: "needs --out"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errs := call(t, append([]string{"bench"}, c.args...)...)
			if code != exitUsage {
				t.Errorf("exit status %d, want %d", code, exitUsage)
			}
			if out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "cellwall: ") || !strings.Contains(errs, c.want) {
				t.Errorf("stdout %q, stderr %q, want one line with %q", out, errs, c.want)
			}
		})
	}
}

func TestBenchList(t *testing.T) {
	code, out, errs := call(t, "bench", "--list")
	if code != 0 || errs != "" || strings.Count(out, "\n") < 50 || !strings.Contains(out, "oom.64-mib") {
		t.Errorf("exit status %d, %d lines, stderr %q", code, strings.Count(out, "\n"), errs)
	}
	if code, out, _ := call(t, "bench", "--list", "--only", "rate.*"); code != 0 || strings.Count(out, "\n") != 5 {
		t.Errorf("exit status %d, %q", code, out)
	}
}

// build builds this program: the workers of a run are the program that runs.
func build(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: benchmarks make containers")
	}
	program := filepath.Join(t.TempDir(), "cellwall")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "../..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // containers execute it
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return program
}

// cellwall builds this program and returns what runs it.
func cellwall(t *testing.T) func(args ...string) (code int, out, errs string) {
	t.Helper()
	program := build(t)
	return func(args ...string) (int, string, string) {
		var out, errs strings.Builder
		cmd := exec.Command(program, args...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), out.String(), errs.String()
	}
}

func TestBench(t *testing.T) {
	run, dir := cellwall(t), t.TempDir()
	code, out, errs := run("bench", "--only", "start.exit,rate.1", "--rung", "chroot,hardened", "--samples", "12", "--seed", "7",
		"--plant", "core at hardened=50%", "--out", dir, "--format", "text,markdown,gobench")
	if code != 0 || errs != "[1/2] start.exit\n[2/2] rate.1\n" {
		t.Errorf("exit status %d, stderr %q", code, errs)
	}
	for _, want := range []string{"benchmarks on ", "seed 7: 12 samples", "core at chroot", "core at hardened (planted 50 %)", "x core at chroot", "control"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for name, want := range map[string]string{"bench.md": "## rate", "bench.txt": "BenchmarkStart/exit 1 "} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, want %q in it", name, err, want)
		}
	}
	file, err := os.Open(filepath.Join(dir, "bench.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read-only
	set, err := record.Read("bench.jsonl", file)
	if err != nil {
		t.Fatal(err)
	}
	described, measured, err := set.Measured(12)
	if err != nil || len(measured) != 2 || len(measured[0].Subjects) != 2 || described.Benching.Rule != "12 samples" {
		t.Fatalf("%+v, %+v, %v", described, measured, err)
	}
	if hardened := measured[0].Subject("core at hardened"); hardened.Planted != 0.5 || hardened.Rung != "hardened" || hardened.Warmup != 3 {
		t.Errorf("got %+v", hardened)
	}
}

// TestBenchRefuses what the host is too noisy for: no host is quiet enough for a millionth.
func TestBenchRefuses(t *testing.T) {
	run := cellwall(t)
	code, out, errs := run("bench", "--only", "start.exit", "--samples", "12", "--effect", "0.0001%")
	if code != exitInconclusive || !strings.Contains(errs, "cellwall: too noisy to find a change of 0.0001% in start.exit: measure longer") {
		t.Errorf("exit status %d, stderr %q", code, errs)
	}
	if !strings.Contains(out, "Too noisy for a change of 0.0 %: start.exit") {
		t.Errorf("the table does not say so:\n%s", out)
	}
	code, out, errs = run("bench", "--only", "start.exit", "--samples", "12", "--plant", "moon=5%")
	if code != exitUsage || out != "" || !strings.Contains(errs, `--plant "moon=5%": want SUBJECT=5%`) {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
	code, _, errs = run("bench", "--runtime", "chroot", "--rung", "bare", "--samples", "2")
	if code != exitUsage || !strings.Contains(errs, "chroot makes no container below chroot") {
		t.Errorf("exit status %d, %q", code, errs)
	}
}

// TestBenchLeavesNothing: neither where it is interrupted nor where it is killed; its workers see to that.
func TestBenchLeavesNothing(t *testing.T) {
	program := build(t)
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		cmd := exec.Command(program, "bench", "--only", "start.exit", "--for", "10m")
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, len("[1/1] start.exit\n"))); err != nil {
			t.Fatal(err)
		}
		workers := workersOf(t, cmd.Process.Pid)
		if len(workers) != 2 {
			t.Errorf("%d workers have a lease, want one of the core and one of the control", len(workers))
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if sig == os.Interrupt && cmd.ProcessState.ExitCode() != exitInconclusive {
			t.Errorf("exit status %d after an interrupt", cmd.ProcessState.ExitCode())
		}
		for pidfd, name := range workers {
			for { // readable when it has ended: pidfd_open(2)
				_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
				if err == nil {
					break
				}
			}
			_ = unix.Close(pidfd)
			groups, err := cgroup.FindLeft(name)
			if err != nil || len(groups) > 0 {
				t.Errorf("after %v: %v, %v", sig, groups, err)
			}
			for _, dir := range []string{lease.Default, sharedMemory, lease.OnDisk} {
				if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("after %v: %s is in %s: %v", sig, name, dir, err)
				}
			}
		}
	}
}

// workersOf are pidfds of the children of a process, with the names of the leases that they hold.
func workersOf(t *testing.T, pid int) map[int]string {
	t.Helper()
	workers := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", pid)) {
			continue
		}
		worker, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		files, err := os.ReadDir(filepath.Join("/proc", e.Name(), "fd"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			to, err := os.Readlink(filepath.Join("/proc", e.Name(), "fd", f.Name()))
			if err != nil || filepath.Dir(to) != lease.Default || lease.Of(filepath.Base(to)) == "" {
				continue
			}
			pidfd, err := unix.PidfdOpen(worker, 0)
			if err != nil {
				t.Fatal(err)
			}
			workers[pidfd] = filepath.Base(to)
		}
	}
	return workers
}

// TestReadersEndByAnInterrupt: what makes nothing has nothing to undo. Each is stuck in a pipe that nobody writes to.
func TestReadersEndByAnInterrupt(t *testing.T) {
	program, dir := build(t), t.TempDir()
	pipe := filepath.Join(dir, "20260101T000000Z-unknown-0123456789abcdef.jsonl")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"report", pipe}, {"compare", pipe, dir}, {"interfere", "--from", pipe}, {"history", "check", dir}, {"history", "show", dir},
	} {
		cmd := exec.Command(program, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until it is there
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		_ = end.Close()
		if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != unix.SIGINT {
			t.Errorf("%q: %v", args, cmd.ProcessState)
		}
	}
}

package command

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/lease"
)

// TestWorkingDirectoryIsGone: the exit code is not that of a breach, and nothing is left.
func TestWorkingDirectoryIsGone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: verify does")
	}
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	leases := func() []string {
		names, err := filepath.Glob(filepath.Join(lease.Default, lease.Prefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	before := leases()
	for _, command := range []string{"verify", "ladder"} {
		if code, _, said := call(t, command, "--only", "fs.dotdot"); code != exitUsage || !strings.Contains(said, "working directory cannot be told") {
			t.Errorf("%s: exit %d, %s", command, code, said)
		}
		if now := leases(); !slices.Equal(now, before) {
			t.Errorf("%s: leases were %q and are %q", command, before, now)
		}
	}
}

func TestExit(t *testing.T) {
	v := func(runtime string, o record.Outcome, claimed bool) record.Verdict {
		verdict := record.Verdict{Runtime: runtime, Outcome: o, Claimed: claimed}
		if o == record.Held {
			verdict.Control, verdict.Alone = &record.Trial{On: runtime, Outcome: record.Breached}, &record.Trial{On: runtime, Outcome: record.Held}
		}
		return verdict
	}
	known := v("runc", record.Breached, true)
	known.Exception = &record.Exception{Known: true}
	leaked := v("runc", record.Breached, false)
	leaked.Leaks = []string{"a mount"}
	unproven := v("runc", record.Held, true)
	unproven.Control = nil
	held := v("core", record.Held, true)
	for _, tt := range []struct {
		name     string
		verdicts []record.Verdict
		stopped  error
		want     int
		says     string
	}{
		{name: "held", verdicts: []record.Verdict{held}},
		{name: "held by both", verdicts: []record.Verdict{held, v("runc", record.Held, true)}},
		{name: "known to fail", verdicts: []record.Verdict{held, known}},
		{name: "not claimed", verdicts: []record.Verdict{held, v("runc", record.Breached, false)}},
		{name: "one breaks", verdicts: []record.Verdict{held, v("runc", record.Held, true), v("runc", record.Breached, true)}, want: exitBreached},
		{name: "a breach before doubt", verdicts: []record.Verdict{v("core", record.Inconclusive, true), v("runc", record.Breached, true)}, want: exitBreached},
		{name: "one in doubt", verdicts: []record.Verdict{held, v("runc", record.Held, true), v("runc", record.Inconclusive, true)}, want: exitInconclusive},
		{name: "one leaks", verdicts: []record.Verdict{held, leaked}, want: exitInconclusive},
		{name: "one is not proven", verdicts: []record.Verdict{held, unproven}, want: exitInconclusive},
		{name: "stopped", verdicts: []record.Verdict{held}, stopped: errors.New("stopped"), want: exitInconclusive, says: "stopped"},
		{name: "nothing held", verdicts: []record.Verdict{v("core", record.Unsupported, true)}, want: exitInconclusive, says: "nothing was held: "},
		{name: "nothing but a known failure", verdicts: []record.Verdict{known}, want: exitInconclusive, says: "nothing was held: "},
		{name: "one holds nothing", verdicts: []record.Verdict{held, v("runc", record.Unsupported, true)}, want: exitInconclusive, says: "nothing was held by runc"},
		{name: "none", want: exitInconclusive, says: "nothing was held"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &result{report: render.Report{Verdicts: tt.verdicts}, stopped: tt.stopped}
			for _, name := range []string{"core", "runc"} {
				r.report.Run.Runtimes = append(r.report.Run.Runtimes, record.Runtime{Name: name})
			}
			err := r.exit()
			var c coded
			if errors.As(err, &c); c.code != tt.want {
				t.Errorf("exit status %d, want %d", c.code, tt.want)
			}
			if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("says %v, want %q", err, tt.says)
			}
		})
	}
}

// TestInterrupted: no row begins after an interrupt, or where the terminal is gone, and what was found until then is shown.
func TestInterrupted(t *testing.T) {
	program := build(t)
	for _, sig := range []os.Signal{os.Interrupt, unix.SIGHUP} {
		cmd := exec.Command(program, "verify")
		progress, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(progress)
		first, err := lines.ReadString('\n')
		if err == nil {
			err = cmd.Process.Signal(sig)
		}
		rest, readErr := io.ReadAll(lines)
		_ = cmd.Wait()
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if cmd.ProcessState.ExitCode() != exitInconclusive || !strings.Contains(string(rest), "interrupted: stopped after") || !strings.Contains(out.String(), "fs.dotdot") {
			t.Errorf("%v: after %q exit status %d, %q, %q", sig, first, cmd.ProcessState.ExitCode(), rest, out.String())
		}
	}
}

// TestNobodyReads: of `cellwall verify 2>&1 | head -1` nothing is left, and `cellwall list | head -1` says nothing of it.
func TestNobodyReads(t *testing.T) {
	program := build(t)
	cmd := exec.Command(program, "verify")
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = bufio.NewReader(progress).ReadString('\n')
	name := leaseOf(t, cmd.Process.Pid)
	if err := errors.Join(err, progress.Close()); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != exitInconclusive {
		t.Errorf("verify: %v", cmd.ProcessState)
	}
	groups, err := cgroup.FindLeft(name)
	if err != nil || len(groups) > 0 {
		t.Errorf("left: %v, %v", groups, err)
	}
	for _, dir := range []string{lease.Default, sharedMemory, lease.OnDisk} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("left in %s: %v", dir, err)
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd = exec.Command(program, "list")
	cmd.Stdout, cmd.Stderr = write, &errs
	err = errors.Join(read.Close(), cmd.Run(), write.Close())
	if cmd.ProcessState.ExitCode() != 128+int(unix.SIGPIPE) || errs.Len() > 0 {
		t.Errorf("list: %v, %q", err, &errs)
	}
}

// TestVerifyAll verifies what is found, with one program hidden, and looks for every runtime in the
// records, on stderr and in the report. Ginkgo runs once in a process: there can be no second such test.
func TestVerifyAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes containers")
	}
	hidden := driver.Names()[1]
	path := without(t, hidden, "podman") // which would have the broken crun make its containers
	broken(t, filepath.Join(path, "crun"))
	t.Setenv("PATH", path)
	t.Setenv(requireVariable, "")
	dir := t.TempDir()
	code, out, errs := call(t, "verify", "--runtime", "all", "--rung", "chroot", "--only", "fs.dotdot,fs.inherited-dirfd", "--out", dir)
	if code != 0 {
		t.Fatalf("exit status %d: %s\n%s", code, errs, out)
	}
	sets, err := readSets([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := oneReport(dir, &sets[0])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, rt := range r.Run.Runtimes {
		names = append(names, rt.Name)
	}
	for _, name := range driver.Names() {
		// Of one whose program is there the reason stands behind its name.
		absent := slices.ContainsFunc(r.Run.Absent, func(a string) bool { return a == name || strings.HasPrefix(a, name+" (") })
		if slices.Contains(names, name) == (absent || name == "crun") {
			t.Errorf("%s: the records have %v, and %v absent", name, names, r.Run.Absent)
		}
	}
	if !slices.Contains(r.Run.Absent, hidden) {
		t.Errorf("absent are %v, want %s too", r.Run.Absent, hidden)
	}
	absent := strings.Join(r.Run.Absent, ", ") + "\n"
	if !strings.Contains(errs, "not on this host, and not verified: "+absent) || !strings.Contains(out, "Not on this host, and not verified: "+absent) {
		t.Errorf("%s absent, but stderr is %q and stdout\n%s", absent, errs, out)
	}
	if idle := brokenSays("crun"); !slices.Equal(r.Run.Idle, []string{idle}) || !strings.Contains(errs, idle+"\n") || !strings.Contains(out, idle+"\n") {
		t.Errorf("idle are %q, want %q, but stderr is %q and stdout\n%s", r.Run.Idle, idle, errs, out)
	}
	if len(r.Verdicts) != r.Run.Asked || r.Run.Asked != 2*len(names) {
		t.Errorf("%d verdicts of %d by %v", len(r.Verdicts), r.Run.Asked, names)
	}
	for i, v := range r.Verdicts {
		if want := names[i/2]; v.Runtime != want {
			t.Errorf("verdict %d is by %s, want %s", i, v.Runtime, want)
		}
	}
	if v := r.Verdicts[0]; v.Rung != "chroot" || v.Runtime != "core" {
		t.Errorf("%s ran at %s", v.Runtime, v.Rung)
	}
	for _, v := range r.Verdicts {
		raised := strings.Contains(errs, v.Runtime+" makes no container at chroot: it is verified at "+v.Rung+"\n")
		if raised != (v.Rung != "chroot") {
			t.Errorf("%s ran at %s, and stderr is %q", v.Runtime, v.Rung, errs)
		}
	}
}

// broken makes a program in the place of a runtime's that tells its version and fails at everything else.
func broken(t *testing.T, path string) {
	t.Helper()
	script := "#!/bin/sh\n[ \"$1\" = --version ] && echo crun version 1.8.1 && exit\necho no daemon >&2\nexit 7\n"
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// brokenSays is how a broken one is named.
func brokenSays(name string) string {
	return name + `: does not start a container here: ` + name + ` create: exit status 7: it wrote "no daemon"`
}

// TestABrokenRuntimeIsNoSubject asks for a runtime that is there and starts nothing.
func TestABrokenRuntimeIsNoSubject(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes containers")
	}
	path := filepath.Join(t.TempDir(), "crun")
	broken(t, path)
	t.Setenv("PATH", filepath.Dir(path)+":"+without(t, "podman")) // as above
	for _, c := range []struct {
		runtimes, required string
	}{{runtimes: "crun"}, {runtimes: "core,crun=" + path}, {runtimes: "all", required: "crun"}} {
		t.Setenv(requireVariable, c.required)
		code, out, errs := call(t, "verify", "--runtime", c.runtimes, "--only", "fs.dotdot")
		if code != exitInconclusive || out != "" || !strings.HasSuffix(errs, brokenSays("crun")+"\n") {
			t.Errorf("%s: exit status %d, %q, %q", c.runtimes, code, out, errs)
		}
	}
	if code, out, errs := call(t, "doctor"); code != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), brokenSays("crun")) || strings.Count(out, "does not start") != 1 {
		t.Errorf("doctor: exit status %d, %q\n%s", code, errs, out)
	}
}

// without returns a directory for PATH that has all that is there but some programs.
func without(t *testing.T, hidden ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		entries, err := os.ReadDir(d)
		if err != nil {
			continue // a PATH may name what is not there
		}
		for _, e := range entries {
			err := os.Symlink(filepath.Join(d, e.Name()), filepath.Join(dir, e.Name()))
			if err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	for _, name := range hidden {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return dir
}

package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/bench/worker"
	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/runtime/lease"
)

// standIn is a program that has cellwall's benchmarks as far as compare needs it: it shows a level, with noise.
const standIn = `package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strings"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		fmt.Println(%q)
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r struct {
			Op string
			N  int
		}
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			os.Exit(9)
		}
		switch r.Op {
		case "hello":
			fmt.Println(%q)
		case "sample":
			var values []string
			for i := 0; i < r.N; i++ {
				values = append(values, fmt.Sprintf("{\"value\":%%g,\"cpu\":0}", %g*(1+0.05*rand.Float64())))
			}
			fmt.Println("{\"samples\":[" + strings.Join(values, ",") + "]}")
		default:
			fmt.Println("{}")
		}
	}
}
`

// repository is a git repository with a commit of a stand-in for each level; it is the working directory.
func repository(t *testing.T, levels ...float64) (dir string, run func(args ...string) string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	run = func(args ...string) string {
		t.Helper()
		args = append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)
		out, err := exec.Command("git", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q")
	for _, level := range levels {
		hello := fmt.Sprintf(`{"hello":{"protocol":%d,"version":"v","runtime":"core","runtime_version":"v"}}`, worker.Version)
		for name, text := range map[string]string{"go.mod": "module standin\n\ngo 1.26\n", "main.go": fmt.Sprintf(standIn, "start.exec  s", hello, level)} {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		run("add", ".")
		run("commit", "-q", "--allow-empty", "-m", fmt.Sprint("level ", level))
		run("tag", fmt.Sprintf("v%g", 1000*level))
	}
	return dir, run
}

// leavesNothing fails where a worktree is left of a build, or more than the builds in the temporary directory.
func leavesNothing(t *testing.T, git func(...string) string, builds ...string) {
	t.Helper()
	if list := git("worktree", "list"); strings.Contains(list, "\n") {
		t.Errorf("worktrees are left: %s", list)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	left = slices.DeleteFunc(left, func(e os.DirEntry) bool { return slices.Contains(builds, e.Name()) })
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestRevisionsAreBuilt(t *testing.T) {
	_, git := repository(t, 0.003, 0.004)
	if err := os.WriteFile("main.go", []byte("no Go"), 0o644); err != nil {
		t.Fatal(err)
	}
	// What a repository would run on a checkout is not run.
	for _, hook := range []string{"post-checkout", "post-index-change"} {
		if err := os.WriteFile(filepath.Join(".git/hooks", hook), []byte("#!/bin/sh\necho > \"$TMPDIR/hook\"\n"), 0o755); err != nil { // a hook is run
			t.Fatal(err)
		}
	}
	var errs bytes.Buffer
	built, err := buildRevisions(t.Context(), &errs, os.Getenv("TMPDIR"), "HEAD~1", "v4")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"HEAD~1", "v4"} {
		commit := git("rev-parse", name)[:12]
		if built[i].name != name+" ("+commit+")" || built[i].commit != commit {
			t.Errorf("built %+v, want %s of %s", built[i], name, commit)
		}
		if out, err := exec.Command(built[i].program, "bench").Output(); err != nil || string(out) != "start.exec  s\n" {
			t.Errorf("it is not the program: %q, %v", out, err)
		}
	}
	if !strings.Contains(errs.String(), "the working tree has changes that are in no revision: they are not measured\nbuilding HEAD~1 (") {
		t.Errorf("it says %q", &errs)
	}
	leavesNothing(t, git, digest.OldSide, digest.NewSide)
}

func TestTheSameBuildIsTold(t *testing.T) {
	_, git := repository(t, 0.003)
	var errs bytes.Buffer
	_, err := buildRevisions(t.Context(), &errs, os.Getenv("TMPDIR"), "HEAD", "HEAD")
	if err != nil || !strings.Contains(errs.String(), "both builds are the same, byte for byte") {
		t.Fatalf("%v, %q", err, &errs)
	}
	leavesNothing(t, git, digest.OldSide, digest.NewSide)
}

func TestRevisionsThatCannotBeBuilt(t *testing.T) {
	_, git := repository(t, 0.003)
	git("rm", "-q", "main.go")
	git("commit", "-q", "-m", "nothing to build")
	for _, c := range []struct {
		older, newer, want string
		code               int
	}{
		{"v3", "moon", `has no revision "moon": git log shows those that there are`, exitUsage},
		{"--help", "v3", `has no revision "--help"`, exitUsage},
		{"", "v3", `has no revision ""`, exitUsage},
		{"v3", "HEAD", "build HEAD (", exitInconclusive},
	} {
		dir := t.TempDir()
		_, err := buildRevisions(t.Context(), &bytes.Buffer{}, dir, c.older, c.newer)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(done(err)) != c.code {
			t.Errorf("%q and %q: got %v with %d, want %q with %d", c.older, c.newer, err, exitCode(done(err)), c.want, c.code)
		}
		t.Setenv("TMPDIR", dir)
		leavesNothing(t, git, digest.OldSide)
	}
	t.Chdir(t.TempDir())
	t.Setenv("GIT_CEILING_DIRECTORIES", "/")
	if _, err := buildRevisions(t.Context(), &bytes.Buffer{}, t.TempDir(), "v3", "v3"); err == nil || !strings.Contains(err.Error(), "--build compares revisions of the git repository in which it runs") {
		t.Errorf("outside of a repository: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := buildRevisions(t.Context(), &bytes.Buffer{}, t.TempDir(), "v3", "v3"); err == nil || !strings.Contains(err.Error(), "git is needed and not found: install it") {
		t.Errorf("without git: %v", err)
	}
}

// TestAnInterruptedBuildLeavesNothing: a compiler that does not come to an end is interrupted.
func TestAnInterruptedBuildLeavesNothing(t *testing.T) {
	heeded(t, unix.SIGINT)
	_, git := repository(t, 0.003)
	bin := t.TempDir()
	begun := filepath.Join(bin, "begun")
	if err := unix.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := filepath.Join(bin, "ended")
	script := "#!/bin/sh\ntrap 'kill $!; echo > " + ended + "; exit 1' INT\nsleep 600 &\necho > " + begun + "\nwait\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = os.ReadFile(begun) // until it has begun
		cancel()
	}()
	_, err := buildRevisions(ctx, &bytes.Buffer{}, os.Getenv("TMPDIR"), "HEAD", "HEAD")
	if err == nil || !strings.HasSuffix(err.Error(), ": interrupted") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(ended); err != nil {
		t.Errorf("the compiler could not tidy up: %v", err)
	}
	leavesNothing(t, git)
}

// TestCompareBuildLeavesNothing: neither in the repository nor elsewhere, where it is interrupted by itself, where it is
// killed after cellwall clean.
func TestCompareBuildLeavesNothing(t *testing.T) {
	program := build(t)
	_, git := repository(t, 0.003)
	bin := t.TempDir()
	begun := filepath.Join(bin, "begun")
	if err := unix.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho $$ $PWD > " + begun + "\nexec sleep 600\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		cmd := exec.Command(program, "compare", "--build", "HEAD", "HEAD")
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var compiler int
		var source string
		said, err := os.ReadFile(begun)
		if err == nil {
			_, err = fmt.Sscan(string(said), &compiler, &source)
		}
		if err := errors.Join(err, cmd.Process.Signal(sig)); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		dir := filepath.Dir(source)
		if sig == os.Kill {
			if err := unix.Kill(compiler, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			left, err := findLeft(t.Context(), lease.Default)
			at := slices.IndexFunc(left, func(l leftover) bool { return l.path == dir })
			if err != nil || at < 0 {
				t.Fatalf("%s is not among what is left: %v, %v", dir, left, err)
			}
			// Not cellwall clean, which would take what others have left.
			if err := left[at].remove(); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after %v: %s is still there: %v", sig, dir, err)
		}
		leavesNothing(t, git)
	}
}

func TestBinariesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"old", "new"} {
		if err := os.WriteFile(name, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	found, err := findBinaries(&bytes.Buffer{}, "old", filepath.Join(dir, "new"))
	if err != nil || found[0].program != filepath.Join(dir, "old") || found[1].program != filepath.Join(dir, "new") || found[0].name != "old" {
		t.Fatalf("%+v, %v", found, err)
	}
	f := compareFlags{}
	if _, _, err := f.known(t.Context(), nil, found); err == nil || !strings.Contains(err.Error(), "old has no benchmarks, as ") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if _, err := findBinaries(&bytes.Buffer{}, "old", "moon"); exitCode(err) != exitUsage || !strings.Contains(err.Error(), `--binary: exec: "moon"`) {
		t.Errorf("got %v", err)
	}
}

// TestCompareBuild builds and measures two revisions, with workers that are stand-ins and a control that is
// real.
func TestCompareBuild(t *testing.T) {
	program := build(t)
	_, git := repository(t, 0.003, 0.0039)
	if out, err := exec.Command("git", "worktree", "list").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out := t.TempDir()
	for _, c := range []struct {
		older, newer string
		code         int
		want, errs   string
	}{
		// One in twenty is a candidate, and is measured once more.
		{"v3", "v3", 0, "1 compared: 0 worse, 0 better, 1 (without a difference|not confirmed)", `^building v3 \(.*\nbuilding v3 \(.*\nboth builds are the same.*\n\[ 1/20\] round of 1 benchmark\n(.*, once more\n)?$`},
		{"v3", "HEAD", exitBreached, "1 compared: 1 worse, 0 better\n", `round of 1 benchmark, once more\ncellwall: confirmed to be worse: start.exec on core at hardened\n$`},
		{"HEAD", "v3", 0, "1 compared: 0 worse, 1 better\n", ""},
		{"v3", "moon", exitUsage, "", `^cellwall: --build: .* has no revision "moon"`},
	} {
		cmd := exec.Command(program, "compare", "--build", c.older, c.newer, "--samples", "40", "--only", "start.e*", "--out", out)
		var text, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &text, &errs
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || !regexp.MustCompile(c.want).MatchString(text.String()) || !regexp.MustCompile(c.errs).MatchString(errs.String()) {
			t.Errorf("%s and %s: exit status %d, want %d; stdout %s\nstderr %s", c.older, c.newer, code, c.code, &text, &errs)
		}
		if c.want != "" && !strings.Contains(text.String(), "does not know start.exit, start.exec-into.") {
			t.Errorf("it does not say what the revisions do not know:\n%s", &text)
		}
		leavesNothing(t, git)
	}
	file, err := os.Open(filepath.Join(out, "confirm.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := record.Read("confirm.jsonl", file)
	if err := errors.Join(err, file.Close()); err != nil || len(set.Runs) != 20 || len(set.Benches) != 60 {
		t.Errorf("%d runs, %d records, %v", len(set.Runs), len(set.Benches), err)
	}
}

// TestCompareBinary finds a planted slowdown of the core, and nothing where none is planted.
func TestCompareBinary(t *testing.T) {
	program := build(t)
	for plant, want := range map[string]int{"": 0, "new=60%": exitBreached} {
		args := []string{"compare", "--binary", program, program, "--samples", "20", "--only", "start.exit", "--seed", "3"}
		if plant != "" {
			args = append(args, "--plant", plant)
		}
		out, err := exec.Command(program, args...).CombinedOutput()
		var code *exec.ExitError
		if got := map[bool]int{true: 0, false: -1}[err == nil]; errors.As(err, &code) && code.ExitCode() != want || code == nil && got != want {
			t.Errorf("planted %q: %v, want exit status %d:\n%s", plant, err, want, out)
		}
	}
}

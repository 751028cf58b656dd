package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/reports/digest"
)

// shortCommit is how many letters of a commit are shown and kept.
const shortCommit = 12

// buildRevisions builds two revisions of the repository in which we are, into a directory.
func buildRevisions(ctx context.Context, errs io.Writer, dir, older, newer string) (built [2]version, err error) {
	top, err := git(ctx, "", "rev-parse", "--show-toplevel")
	if err != nil {
		return built, misuse("--build compares revisions of the git repository in which it runs: %w", err)
	}
	for i, name := range []string{older, newer} {
		commit, err := git(ctx, top, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
		if err != nil || len(commit) < shortCommit {
			return built, misuse("--build: %s has no revision %q: git log shows those that there are", top, name)
		}
		built[i] = version{name: fmt.Sprintf("%s (%s)", name, commit[:shortCommit]), commit: commit[:shortCommit]}
	}
	if changed, err := git(ctx, top, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"); err == nil && changed != "" {
		fmt.Fprintln(errs, "the working tree has changes that are in no revision: they are not measured")
	}
	for i, side := range []string{digest.OldSide, digest.NewSide} {
		built[i].program = filepath.Join(dir, side)
		fmt.Fprintf(errs, "building %s\n", built[i].name)
		if err := buildCommit(ctx, top, built[i].commit, built[i].program); err != nil {
			return built, fmt.Errorf("build %s: %w", built[i].name, err)
		}
	}
	tellOfTheSame(errs, built)
	return built, nil
}

// buildCommit builds a commit as a program, from a copy of its files that is there only meanwhile. It is no worktree,
// which would stay in the repository's list if we were killed.
func buildCommit(ctx context.Context, top, commit, program string) (err error) {
	source, index := program+"-source", program+"-index"
	defer func() { err = errors.Join(err, os.RemoveAll(source), os.RemoveAll(index)) }()
	if err := os.Mkdir(source, 0o700); err != nil {
		return fmt.Errorf("make a directory for the source: %w", err)
	}
	for _, step := range [][]string{{"read-tree", commit}, {"checkout-index", "--all", "--prefix=" + source + "/"}} {
		// The repository has hooks of its own, which are not to run.
		args := append([]string{"-c", "core.hooksPath=" + os.DevNull}, step...)
		if _, err := output(ctx, top, []string{"GIT_INDEX_FILE=" + index}, "git", args...); err != nil {
			return err
		}
	}
	_, err = output(ctx, source, nil, "go", "build", "-trimpath", "-buildvcs=false", "-o", program, ".")
	return err
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	return output(ctx, dir, nil, "git", args...)
}

// endTimeout is how long a tool may take to tidy up after an interrupt.
const endTimeout = 10 * time.Second

// output runs a tool, with some variables beside ours, and returns what it prints. Its error is what the tool says.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = slices.Concat(os.Environ(), []string{"CGO_ENABLED=0", "LC_ALL=C"}, env)
	// An interrupt of the terminal is ours, which passes it on and waits: git and go tidy up then.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endTimeout
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", errors.New("interrupted")
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%s is needed and not found: install it, or give sudo the PATH that has it", name)
	case err != nil:
		said := strings.Join(strings.Fields(errs.String()), " ")
		return "", fmt.Errorf("%s: %w: %.300s", name, err, said)
	}
	return strings.TrimSpace(out.String()), nil
}

// findBinaries are two programs that a user names.
func findBinaries(errs io.Writer, older, newer string) (found [2]version, err error) {
	for i, name := range []string{older, newer} {
		path, err := exec.LookPath("./" + name) // a file is meant, where there is one
		if filepath.IsAbs(name) || errors.Is(err, fs.ErrNotExist) {
			path, err = exec.LookPath(name)
		}
		if err != nil {
			return found, misuse("--binary: %w: give the path of a build of cellwall", err)
		}
		if found[i].program, err = filepath.Abs(path); err != nil {
			return found, fmt.Errorf("find %s: %w", name, err)
		}
		found[i].name = name
	}
	tellOfTheSame(errs, found)
	return found, nil
}

// tellOfTheSame says that two builds are one program, so that nobody looks for a difference.
func tellOfTheSame(errs io.Writer, of [2]version) {
	var sums [2][sha256.Size]byte
	for i, v := range of {
		text, err := os.ReadFile(v.program)
		if err != nil {
			return // who starts it will say so
		}
		sums[i] = sha256.Sum256(text)
	}
	if sums[0] == sums[1] {
		fmt.Fprintln(errs, "both builds are the same, byte for byte: a difference would be a false alarm")
	}
}

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
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/reports/digest"
	"cellwall/runtime/cleanup"
)

// shortCommit is how many letters of a commit are shown and kept.
const shortCommit = 12

// buildRevisions builds two revisions of the repository in which we are, each in a worktree of its own that
// is removed at once. undo removes the programs.
func buildRevisions(ctx context.Context, errs io.Writer, older, newer string) (built [2]version, undo func() error, err error) {
	var clean cleanup.Stack
	defer clean.OnError(&err)
	top, err := git(ctx, "", "rev-parse", "--show-toplevel")
	if err != nil {
		return built, nil, misuse("--build compares revisions of the git repository in which it runs: %w", err)
	}
	for i, name := range []string{older, newer} {
		commit, err := git(ctx, top, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
		if err != nil || len(commit) < shortCommit {
			return built, nil, misuse("--build: %s has no revision %q: git log shows those that there are", top, name)
		}
		built[i] = version{name: fmt.Sprintf("%s (%s)", name, commit[:shortCommit]), commit: commit[:shortCommit]}
	}
	if changed, err := git(ctx, top, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"); err == nil && changed != "" {
		fmt.Fprintln(errs, "the working tree has changes that are in no revision: they are not measured")
	}
	dir, err := os.MkdirTemp("", "cellwall-compare-")
	if err != nil {
		return built, nil, fmt.Errorf("make a directory for the builds: %w", err)
	}
	clean.Push("remove the builds", func() error { return os.RemoveAll(dir) })
	for i, side := range []string{digest.OldSide, digest.NewSide} {
		built[i].program = filepath.Join(dir, side)
		fmt.Fprintf(errs, "building %s\n", built[i].name)
		if err := buildCommit(ctx, top, built[i].commit, filepath.Join(dir, side+"-source"), built[i].program); err != nil {
			return built, nil, fmt.Errorf("build %s: %w", built[i].name, err)
		}
	}
	tellOfTheSame(errs, built)
	return built, clean.Close, nil
}

// buildCommit builds a commit as a program, in a worktree that is there only meanwhile.
func buildCommit(ctx context.Context, top, commit, worktree, program string) (err error) {
	defer func() {
		// Also after an interrupt, and whatever has become of the worktree.
		_, gone := git(context.WithoutCancel(ctx), top, "worktree", "remove", "--force", worktree)
		if err == nil {
			err = gone
		}
		err = errors.Join(err, os.RemoveAll(worktree))
	}()
	// The repository has hooks of its own, which are not to run.
	if _, err := git(ctx, top, "-c", "core.hooksPath="+os.DevNull, "worktree", "add", "--detach", "--quiet", worktree, commit); err != nil {
		return err
	}
	_, err = output(ctx, worktree, "go", "build", "-trimpath", "-buildvcs=false", "-o", program, ".")
	return err
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	return output(ctx, dir, "git", args...)
}

// endTimeout is how long a tool may take to tidy up after an interrupt.
const endTimeout = 10 * time.Second

// output runs a tool and returns what it prints. Its error is what the tool says.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "LC_ALL=C")
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

// findBinaries are two programs that a user names. There is nothing to undo.
func findBinaries(_ context.Context, errs io.Writer, older, newer string) (found [2]version, undo func() error, err error) {
	for i, name := range []string{older, newer} {
		path, err := exec.LookPath("./" + name) // a file is meant, where there is one
		if filepath.IsAbs(name) || errors.Is(err, fs.ErrNotExist) {
			path, err = exec.LookPath(name)
		}
		if err != nil {
			return found, nil, misuse("--binary: %w: give the path of a build of cellwall", err)
		}
		if found[i].program, err = filepath.Abs(path); err != nil {
			return found, nil, fmt.Errorf("find %s: %w", name, err)
		}
		found[i].name = name
	}
	tellOfTheSame(errs, found)
	return found, func() error { return nil }, nil
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

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/bench/worker"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
)

// limitSource is where the C program lies in a checkout.
const limitSource = "runtime/core/testdata/limit.c"

// buildLimit builds the C program and returns it as a subject; nil where no row asks for it, or where it or
// a compiler is not there and nobody named it. undo removes what was built.
func (f *benchFlags) buildLimit(c *cobra.Command, rows []*bench.Benchmark) (_ *runner.Subject, undo func() error, err error) {
	none := func() error { return nil }
	if !slices.ContainsFunc(rows, func(b *bench.Benchmark) bool { return b.Limit != nil }) {
		return nil, none, nil
	}
	source, named := limitSource, f.limit != ""
	if named {
		source = f.limit
	}
	compiler := findCompiler()
	_, missing := os.Stat(source)
	switch {
	case named && missing != nil:
		return nil, none, misuse("--limit: %w", missing)
	case missing != nil:
		return nil, none, nil //nolint:nilerr // an installed cellwall
	case compiler == "" && named:
		return nil, none, misuse("--limit %s: no C compiler is there: install gcc or clang", source)
	case compiler == "":
		fmt.Fprintf(c.ErrOrStderr(), "without a C compiler %s, which no runtime can beat, is not measured\n", source)
		return nil, none, nil
	}
	held, err := lease.Take(lease.Default)
	if err != nil {
		return nil, none, err
	}
	dir, err := held.Unrestricted(lease.OnDisk)
	if err != nil {
		return nil, none, errors.Join(err, held.Close())
	}
	binary := filepath.Join(dir, "limit")
	if out, err := exec.CommandContext(c.Context(), compiler, "-O2", "-static", "-o", binary, source).CombinedOutput(); err != nil {
		return nil, none, errors.Join(fmt.Errorf("build %s: %w: %.300q", source, err, out), held.Close())
	}
	return &runner.Subject{Label: worker.LimitName, Runtime: bench.HostName, Rung: spec.Bare, Limit: binary}, held.Close, nil
}

// findCompiler returns a C compiler of this host, or nothing. Debian's have their version in their name.
func findCompiler() string {
	for _, name := range []string{"cc", "gcc", "clang", "gcc-14", "gcc-13", "gcc-12"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

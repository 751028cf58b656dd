package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cellwall/ci/kernels"
	"cellwall/ci/matrix"
	"cellwall/ci/vm"
	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/suites/guarantee"
)

// expectedFile is where a checkout has its expectations.
const expectedFile = "ci/expected.yaml"

// matrixFlags say what the kernel matrix is made of.
type matrixFlags struct {
	kernelFlags
	kernels, runtimes, cgroups, only []string
	shard, expected, out             string
	atOnce                           int
}

// guestCPUs is how many CPUs a guest has.
const guestCPUs = 2

// bootFunc boots a guest, as (*vm.Host).Run does.
type bootFunc func(context.Context, vm.Guest) (vm.Result, error)

// newMatrix boots by a function, and by default as many guests side by side as another says, as (*vm.Host).AtOnce does.
func newMatrix(boot bootFunc, carries func(guestCPUs int) int) *cobra.Command {
	var f matrixFlags
	c := &cobra.Command{
		Use:   "matrix",
		Short: "boot other kernels and say which guarantees hold on each",
		Long: "matrix boots the kernels of the matrix file in virtual machines, verifies runtimes in each, and shows where kernels\n" +
			"differ, with the reason. It needs QEMU and the kernels (cellwall kernels fetch), and neither root nor a network.\n" +
			"With --out the records are there as they come; cellwall report shows them again, and puts shards together.\n\n" +
			"Exit status: 0 all held as expected, 1 a claimed guarantee was breached or something is not as expected, 2 wrong use,\n" +
			"3 inconclusive, a kernel failed, or we did.",
		Example: "  cellwall matrix\n  cellwall matrix --kernels 'debian-1*' --runtimes core,runc --only 'fs.*' --out out\n" +
			"  cellwall matrix --shard 1/4 --out out-1\n  cellwall report out-1 out-2 out-3 out-4",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, boot, carries) },
	}
	f.add(c)
	flags := c.Flags()
	flags.StringSliceVar(&f.kernels, "kernels", nil, "globs of kernels of the matrix file; by default all for this machine's architecture")
	flags.StringSliceVar(&f.runtimes, "runtimes", []string{driver.CoreName}, "the runtimes to verify, carried into the guests: "+strings.Join(driver.Names(), ", ")+", NAME=PATH or oci:PATH")
	flags.StringSliceVar(&f.cgroups, "cgroup", []string{"v2"}, "what the guests mount: v2, hybrid, v1")
	flags.StringSliceVar(&f.only, "only", nil, "globs of guarantee ids, such as 'fs.*,pids.fork-bomb'")
	flags.StringVar(&f.shard, "shard", "", "one part of the boots, such as 2/4; cellwall report puts the records of all parts together")
	flags.IntVar(&f.atOnce, "at-once", 0, "how many guests run side by side; 0 is as many as the CPUs of this host carry")
	flags.StringVar(&f.expected, "expected", "", "from which kernel on guarantees must hold; by default "+expectedFile+" where that is there")
	flags.StringVar(&f.out, "out", "", "directory for "+recordsFile+" and "+matrixReport+"; made if it is not there")
	complete(c, "only", ids())
	complete(c, "runtimes", driver.Names())
	complete(c, "cgroup", []string{"v2", "hybrid", "v1"})
	return c
}

func (f *matrixFlags) run(c *cobra.Command, boot bootFunc, carries func(int) int) (err error) {
	expected, err := f.check()
	if err != nil {
		return err
	}
	i, n, err := parseShard(f.shard)
	if err != nil {
		return err
	}
	list, err := f.load(c)
	if err != nil {
		return err
	}
	programs, err := carry(f.runtimes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, programs.Close()) }()
	boots := matrix.Shard(matrix.Plan(list, f.cgroups, programs.names), i, n)
	if len(boots) == 0 {
		return misuse("--shard %s is empty: there are only %d boots", f.shard, len(list)*len(f.cgroups))
	}
	out, err := openMatrix(f.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	self, err := os.Executable()
	if err != nil {
		return done(err)
	}
	job := matrix.Job{Boots: boots, Boot: boot, Records: out, AtOnce: f.atOnce, Guest: vm.Guest{
		CPUs: guestCPUs, Memory: 1 << 30, Program: self, Files: programs.files, Boot: 2 * time.Minute, Limit: 30 * time.Minute,
		Command: append([]string{"/cellwall", "verify", "--records", "3", "--runtime", strings.Join(programs.inside, ",")}, f.onlyFlags()...),
	}}
	width, is := terminalWidth(c.ErrOrStderr())
	progress := &render.BenchProgress{Out: c.ErrOrStderr(), Terminal: is, Width: width}
	job.Step = progress.Step
	if job.AtOnce == 0 {
		job.AtOnce = carries(guestCPUs)
	}
	stopped := job.Run(c.Context())
	progress.Finish()
	if errors.Is(stopped, exec.ErrNotFound) {
		return misuse("%w", stopped)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return done(err)
	}
	set, err := record.Read(recordsFile, out)
	if err != nil {
		return done(err)
	}
	m, err := record.Merge(set)
	if err != nil {
		return done(err)
	}
	if err := writeMatrix(c.OutOrStdout(), m, f.out); err != nil {
		return done(err)
	}
	surprises := expected.Surprises(m)
	for _, s := range surprises {
		fmt.Fprintf(c.ErrOrStderr(), "surprise: %s\n", render.EscapeTerminal(s))
	}
	return matrixExit(&m, surprises, stopped)
}

// check refuses what names nothing, and reads what is expected.
func (f *matrixFlags) check() (matrix.Expected, error) {
	if err := checkIDs("--only ", f.only); err != nil {
		return matrix.Expected{}, err
	}
	for i, mode := range f.cgroups {
		if !slices.Contains([]string{"v2", "hybrid", "v1"}, mode) {
			return matrix.Expected{}, misuse("--cgroup %q is none of v2, hybrid, v1", mode)
		}
		if slices.Contains(f.cgroups[:i], mode) {
			return matrix.Expected{}, misuse("--cgroup %s: %s is there twice", strings.Join(f.cgroups, ","), mode)
		}
	}
	if len(f.cgroups) == 0 {
		return matrix.Expected{}, misuse("--cgroup names nothing: it takes some of v2, hybrid, v1")
	}
	if f.atOnce < 0 {
		return matrix.Expected{}, misuse("--at-once %d: want how many guests run side by side, or 0", f.atOnce)
	}
	file := f.expected
	if file == "" {
		if _, err := os.Stat(expectedFile); errors.Is(err, os.ErrNotExist) {
			return matrix.Expected{}, nil
		}
		file = expectedFile
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return matrix.Expected{}, misuse("--expected: %w", err)
	}
	expected, err := matrix.ParseExpected(file, text, func(id string) bool {
		return slices.ContainsFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == id })
	})
	if err != nil {
		return matrix.Expected{}, misuse("%w", err)
	}
	return expected, nil
}

func (f *matrixFlags) onlyFlags() []string {
	if len(f.only) == 0 {
		return nil
	}
	return []string{"--only", strings.Join(f.only, ",")}
}

// load finds the kernels in the cache. The program is for this machine alone.
func (f *matrixFlags) load(c *cobra.Command) ([]kernels.Kernel, error) {
	entries, cache, err := f.read(f.kernels)
	if err != nil {
		return nil, err
	}
	var list []kernels.Kernel
	var others []string
	var errs []error
	for _, e := range entries {
		if e.Arch != runtime.GOARCH {
			others = append(others, e.Name)
			continue
		}
		k, err := cache.Load(e)
		errs = append(errs, err)
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil, misuse("%s: this program is for %s, and none of the kernels is", strings.Join(others, ", "), runtime.GOARCH)
	}
	if err := few(errs...); err != nil {
		return nil, misuse("%w", err)
	}
	if len(others) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "not for %s, and not booted: %s\n", runtime.GOARCH, strings.Join(others, ", "))
	}
	return list, nil
}

// parseShard reads "2/4"; nothing is the whole.
func parseShard(s string) (i, n int, err error) {
	if s == "" {
		return 1, 1, nil
	}
	part, all, _ := strings.Cut(s, "/")
	i, errI := strconv.Atoi(part)
	n, errN := strconv.Atoi(all)
	if errI != nil || errN != nil || i < 1 || i > n {
		return 0, 0, misuse("--shard %q is no part: 2/4 is the second of four", s)
	}
	return i, n, nil
}

// matrixExit turns what was found into the exit code.
func matrixExit(m *record.Matrix, surprises []string, stopped error) error {
	breached, unclear, failed := 0, 0, 0
	for i := range m.Tables {
		for k := range m.Tables[i].Columns {
			t := m.Tables[i].At(k, "")
			breached, unclear = breached+t.Breached, unclear+t.Inconclusive+t.Leaked
		}
	}
	for i := range m.Cells {
		if m.Cells[i].Outcome != record.CellBooted {
			failed++
		}
	}
	switch {
	case stopped != nil:
		return done(fmt.Errorf("stopped with %s left: %w", count(failed, "cell"), stopped))
	case len(surprises) > 0:
		return coded{exitBreached, fmt.Errorf("%s: see above, and ci/expected.yaml", count(len(surprises), "surprise"))}
	case breached > 0:
		return coded{exitBreached, nil}
	case failed > 0:
		return coded{exitInconclusive, fmt.Errorf("%d of %d cells have not booted: see above", failed, len(m.Cells))}
	case unclear > 0:
		return coded{exitInconclusive, nil}
	}
	return nil
}

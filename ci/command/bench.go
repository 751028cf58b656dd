package command

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	outputFlags
	runtimes []string
	rungs    []string
	only     []string
	samples  int
	lasts    time.Duration
	width    string
	effect   string
	seed     uint64
	warmup   int
	limit    string
	plant    string
	list     bool
}

// Where nothing is said of how long: enough for intervals of a few percent.
const defaultSamples = 40

func newBench() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "measure what the walls cost",
		Long: "bench measures containers of one runtime or several. Subjects take turns in a random order and in that order\n" +
			"backwards, beside a control that makes no container, so that noise of the host is not taken for a difference.\n" +
			"When to stop is fixed beforehand. A worker process of its own takes the samples of each subject.\n\n" +
			"Exit status: 0 measured, 2 wrong use, 3 too noisy for --effect, or our own failure.",
		Example: "  sudo cellwall bench\n  sudo cellwall bench --runtime core,crun --only 'start.*' --for 60s\n" +
			"  sudo cellwall bench --only 'inside.*' --rung namespaces,hardened --out out --format text,gobench\n  cellwall bench --list",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	flags := c.Flags()
	flags.StringSliceVar(&f.runtimes, "runtime", []string{driver.CoreName}, "the runtimes to measure: "+driver.Forms()+"; "+everyRuntime+" means every runtime found")
	flags.StringSliceVar(&f.rungs, "rung", nil, fmt.Sprintf("rungs of the ladder, some of %s; by default the highest that the runtime is made for", strings.Join(rungNames(), ", ")))
	flags.StringSliceVar(&f.only, "only", []string{"start.*"}, "globs of benchmarks, such as 'start.*,inside.getpid'; '*' is all")
	flags.IntVar(&f.samples, "samples", 0, fmt.Sprintf("samples of each subject (by default %d)", defaultSamples))
	flags.DurationVar(&f.lasts, "for", 0, "how long to measure, in equal shares for the benchmarks, such as 60s")
	flags.StringVar(&f.width, "width", "", fmt.Sprintf("how wide the 95 %% interval of a median may be, such as 2%%; at most %d samples are taken", runner.DefaultMost))
	flags.StringVar(&f.effect, "effect", "", "the change that has to be found, such as 5%: exit 3 where the host is too noisy for it")
	flags.Uint64Var(&f.seed, "seed", 0, "of the order of the subjects; made up if not given")
	flags.IntVar(&f.warmup, "warmup", 3, "samples of each subject that come first and do not count")
	flags.StringVar(&f.limit, "limit", "", "the C program to measure beside the rest: by default "+limitSource+" where that and a compiler are there")
	flags.StringVar(&f.plant, "plant", "", "SUBJECT=5%: slow a subject down on purpose, to see whether it is found")
	flags.BoolVar(&f.list, "list", false, "list the benchmarks and measure nothing")
	complete(c, "only", benchNames())
	complete(c, "rung", rungNames())
	complete(c, "runtime", append(driver.Names(), everyRuntime))
	flags.StringVar(&f.out, "out", "", "directory for the files, the records (bench.jsonl) always among them; made if it is not there")
	flags.StringSliceVar(&f.format, "format", []string{"text"}, "what to write: "+strings.Join(formatNames(benchFormats()), ", "))
	complete(c, "format", formatNames(benchFormats()))
	return c
}

// run measures and reports.
func (f *benchFlags) run(c *cobra.Command) error {
	rows, err := bench.Select(f.only)
	if err != nil {
		return misuse("--only %w (cellwall bench --list shows them all)", err)
	}
	if f.list {
		if !c.Flags().Changed("only") {
			rows = bench.All()
		}
		return done(listBenchmarks(c.OutOrStdout(), rows))
	}
	rule, err := f.rule()
	if err != nil {
		return err
	}
	effect, err := share("effect", f.effect)
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	r, stopped, err := f.measure(c, rows, rule, effect)
	if err != nil {
		return done(err)
	}
	if len(r.Rows) > 0 {
		if err := f.writeBench(c.OutOrStdout(), r); err != nil {
			return done(err)
		}
	}
	if stopped != nil {
		return done(stopped)
	}
	return f.verdict(r, effect)
}

// verdict says whether the run was good for what was asked of it.
func (f *benchFlags) verdict(r benchReport, effect float64) error {
	var noisy []string
	for _, row := range r.Rows {
		if row.TooNoisy(effect) {
			noisy = append(noisy, row.Benchmark)
		}
	}
	if len(noisy) == 0 {
		return nil
	}
	return coded{exitInconclusive, fmt.Errorf("too noisy to find a change of %s in %s: measure longer (--for, --samples) or on a quieter host",
		f.effect, strings.Join(noisy, ", "))}
}

// rule reads when to stop.
func (f *benchFlags) rule() (runner.Rule, error) {
	width, err := share("width", f.width)
	if err != nil {
		return runner.Rule{}, err
	}
	given := 0
	for _, set := range []bool{f.samples != 0, f.lasts != 0, width != 0} {
		if set {
			given++
		}
	}
	switch {
	case given > 1:
		return runner.Rule{}, misuse("--samples, --for and --width each say when to stop: give one of them")
	case f.samples < 0:
		return runner.Rule{}, misuse("--samples %d: want 1 or more", f.samples)
	case f.lasts < 0:
		return runner.Rule{}, misuse("--for %s: want a time, such as 60s", f.lasts)
	case f.warmup < 0:
		return runner.Rule{}, misuse("--warmup %d: want 0 or more", f.warmup)
	case given == 0:
		return runner.Rule{Samples: defaultSamples}, nil
	}
	return runner.Rule{Samples: f.samples, For: f.lasts, Width: width}, nil
}

// share reads a flag such as 5% or 0.05; empty is 0.
func share(flag, text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x > 0 && x < 1) {
		return 0, misuse("--%s %q: want a share, such as 5%%", flag, text)
	}
	return x, nil
}

// check refuses what names nothing, before anything runs.
func (f *benchFlags) check() error {
	if err := checkRuntimes(f.runtimes); err != nil {
		return err
	}
	for _, rung := range f.rungs {
		if _, err := spec.ParseRung(rung); err != nil {
			return misuse("--rung: %w", err)
		}
	}
	if sorted := slices.Sorted(slices.Values(f.rungs)); len(slices.Compact(sorted)) < len(f.rungs) {
		return misuse("--rung %s: one is there twice", strings.Join(f.rungs, ","))
	}
	return f.outputFlags.check(benchFormats())
}

func listBenchmarks(out io.Writer, rows []*bench.Benchmark) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, b := range rows {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s is better\ta sample is %s\n", b.Name, b.Unit, b.Better, b.Doc); err != nil {
			return err
		}
	}
	return w.Flush()
}

func benchNames() []string {
	var names []string
	for _, b := range bench.All() {
		names = append(names, b.Name)
	}
	for _, group := range bench.Groups() {
		names = append(names, group+".*")
	}
	return names
}

package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cellwall/bench"
	"cellwall/reports/digest"
	"cellwall/reports/render"
	"cellwall/runtime/driver"
)

// compareFlags are the flags of compare. Those of bench mean the same here.
type compareFlags struct {
	benchFlags
	build  bool
	binary bool
	force  bool
}

// defaultComparedSamples is how many samples a comparison takes of each version where nothing is said.
const defaultComparedSamples = 200

func newCompare() *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "find what has become slower between two versions",
		Long: "compare says of each benchmark how large the change from OLD to NEW is, and the smallest that it could have found.\n\n" +
			"With --build OLD and NEW are git revisions, with --binary programs. Both take turns on this host, in many short rounds\n" +
			"with fresh processes, beside a control that makes no container. What seems to have changed is measured once more,\n" +
			"alone, and counts only if it has changed there too.\n\n" +
			"Otherwise they are files of records or directories with such, of cellwall bench. Runs of different days are compared\n" +
			"by the ratio to the control of each. That finds candidates and confirms nothing.\n\n" +
			"Exit status: 0 no regression is confirmed, 1 one is, 2 wrong use, 3 we could not tell: too noisy for --effect, a row\n" +
			"that one side cannot measure, a worker that died, or our own failure.",
		Example: "  sudo cellwall compare --build HEAD~1 HEAD\n  sudo cellwall compare --binary ./old ./new --only 'start.*,rate.1' --for 60s --effect 5%\n" +
			"  cellwall compare old/bench.jsonl new/bench.jsonl",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return misuse("compare takes two versions, OLD and NEW, not %d: cellwall compare OLD NEW", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0], args[1]) },
	}
	flags := c.Flags()
	flags.BoolVar(&f.build, "build", false, "OLD and NEW are git revisions: build and measure them")
	flags.BoolVar(&f.binary, "binary", false, "OLD and NEW are builds of cellwall: measure them")
	flags.BoolVar(&f.force, "force", false, "compare records of different hosts all the same")
	flags.StringSliceVar(&f.only, "only", []string{"start.*"}, "globs of benchmarks, such as 'start.*,inside.getpid'; '*' is all, as it is by default for records")
	flags.StringVar(&f.effect, "effect", "", "the change that has to be found, such as 5%: exit 3 where it could have been missed")
	flags.StringSliceVar(&f.runtimes, "runtime", []string{driver.CoreName}, "the runtimes to measure: "+driver.Forms()+"; "+everyRuntime+" means every runtime found")
	flags.StringSliceVar(&f.rungs, "rung", nil, fmt.Sprintf("rungs of the ladder, some of %s; by default the highest that the runtime is made for", strings.Join(rungNames(), ", ")))
	flags.IntVar(&f.samples, "samples", 0, fmt.Sprintf("samples of each version (by default %d)", defaultComparedSamples))
	flags.DurationVar(&f.lasts, "for", 0, "how long to measure, such as 60s; what seems to have changed takes its share of that once more")
	flags.Uint64Var(&f.seed, "seed", 0, "of the order of the turns; made up if not given")
	flags.IntVar(&f.warmup, "warmup", 3, "samples of each version that come first in a round and do not count")
	flags.StringVar(&f.plant, "plant", "", "new=5%: slow a version down on purpose, to see whether it is found")
	flags.StringVar(&f.out, "out", "", "directory for the files, made if it is not there; of what is measured always also the records")
	flags.StringSliceVar(&f.format, "format", []string{"text"}, "what to write: "+strings.Join(formatNames(compareFormats()), ", "))
	complete(c, "only", benchNames())
	complete(c, "rung", rungNames())
	complete(c, "runtime", append(driver.Names(), everyRuntime))
	complete(c, "format", formatNames(compareFormats()))
	return c
}

// measuring are the flags that say what to measure.
func measuring() []string {
	return []string{"runtime", "rung", "samples", "for", "seed", "warmup", "plant"}
}

func (f *compareFlags) run(c *cobra.Command, older, newer string) error {
	effect, err := share("effect", f.effect)
	if err != nil {
		return err
	}
	switch {
	case f.build && f.binary:
		return misuse("--build takes revisions and --binary programs: give one of them")
	case !f.build && !f.binary:
		for _, name := range measuring() {
			if c.Flags().Changed(name) {
				return misuse("--%s says how to measure, and records are measured already: it goes with --build and --binary", name)
			}
		}
		if !c.Flags().Changed("only") {
			f.only = []string{"*"}
		}
		if err := f.outputFlags.check(compareFormats()); err != nil {
			return err
		}
		return f.runFiles(c, older, newer, effect)
	case f.force:
		return misuse("--force is for records of different hosts: --build and --binary measure on this one")
	}
	rows, err := bench.Select(f.only)
	if err != nil {
		return misuse("--only %w (cellwall bench --list shows them all)", err)
	}
	if err := f.benchFlags.check(); err != nil {
		return err
	}
	s, err := f.schedule()
	if err != nil {
		return err
	}
	return f.runMeasured(c, older, newer, rows, s, effect)
}

// compareReport is a comparison, and the records of what was measured for it.
type compareReport struct {
	render.Compare
	first, fresh []measurement
	// broken is why something was not measured as it should have been; nil where nothing is.
	broken error
}

// verdict turns a comparison of what was measured into the exit status.
func (r *compareReport) verdict() error {
	var worse, unclear []string
	for i := range r.Changes {
		c := &r.Changes[i]
		name := c.Benchmark + " on " + c.Runtime + " at " + c.Rung
		switch c.Says(r.Effect) {
		case digest.Confirmed:
			if c.Worse() {
				worse = append(worse, name)
			}
		case digest.TooNoisy:
			unclear = append(unclear, name+" (too noisy)")
		case digest.CouldBe:
			unclear = append(unclear, name+" (its fresh run is missing)")
		case digest.NoRatio:
			if !c.Nowhere {
				unclear = append(unclear, name+" (cannot be compared)")
			}
		}
	}
	var err error
	if len(unclear) > 0 {
		err = fmt.Errorf("could not tell: %s: measure longer (--for, --samples) or on a quieter host", strings.Join(unclear, ", "))
	}
	if r.broken != nil {
		err = r.broken
	}
	switch {
	case len(worse) > 0 && err != nil:
		return coded{exitBreached, fmt.Errorf("confirmed to be worse: %s; and %w", strings.Join(worse, ", "), err)}
	case len(worse) > 0:
		return coded{exitBreached, fmt.Errorf("confirmed to be worse: %s", strings.Join(worse, ", "))}
	case err != nil:
		return coded{exitInconclusive, err}
	case !slices.ContainsFunc(r.Changes, func(c digest.Change) bool { return c.None == "" }):
		return coded{exitInconclusive, fmt.Errorf("nothing was measured: every row is unsupported on both sides")}
	}
	return nil
}

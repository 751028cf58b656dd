package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cellwall/bench/interfere"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// interfereFlags are the flags of interfere.
type interfereFlags struct {
	outputFlags
	runtime     string
	rungs       []string
	means       []string
	victims     []string
	antagonists []string
	samples     int
	lasts       time.Duration
	window      time.Duration
	seed        uint64
	from        []string
	list        bool
	all         bool
}

const (
	// fittingMeans are those that each antagonist names.
	fittingMeans = "fitting"
	// defaultBlocks is how many blocks each pair has where nothing is said of how long.
	defaultBlocks = 8
	defaultWindow = 250 * time.Millisecond
	leastWindow   = 20 * time.Millisecond
	mostWindow    = 2 * time.Second
)

func newInterfere() *cobra.Command {
	var f interfereFlags
	c := &cobra.Command{
		Use:   "interfere",
		Short: "measure whether a container feels its neighbour, and whether limits help",
		Long: "interfere measures a victim alone and beside an antagonist, in turns, at each rung: how much longer its operations take,\n" +
			"and what the kernel's probes saw meanwhile. Both are in containers of their own, in a fence that stands for the host: also\n" +
			"where they have no limits, no antagonist gets more than the fence has, nor more than its own bounds.\n\n" +
			"Exit status: 0 measured, 2 wrong use, 3 our own failure.",
		Example: "  sudo cellwall interfere --victims request --antagonists cpu,memory\n" +
			"  sudo cellwall interfere --all --for 10m --out out --format text,markdown,svg\n" +
			"  sudo cellwall interfere --victims fsync --antagonists write --rungs namespaces,limits --means io,cpuset+io\n  cellwall interfere --list",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	flags := c.Flags()
	flags.StringVar(&f.runtime, "runtime", driver.CoreName, "what makes the containers: "+driver.Forms())
	flags.StringSliceVar(&f.rungs, "rungs", []string{string(spec.Namespaces), string(spec.Limits), string(spec.Hardened)}, "the rungs of both; the first of them without limits")
	flags.StringSliceVar(&f.means, "means", []string{fittingMeans}, "means beside the limits of the rung "+string(spec.Limits)+", several with a + between: "+
		strings.Join(meansNames(), ", ")+"; "+fittingMeans+" is those that each antagonist names, and an empty list none")
	flags.StringSliceVar(&f.victims, "victims", nil, "some of "+strings.Join(victimNames(), ", ")+"; where only --antagonists are named, all")
	flags.StringSliceVar(&f.antagonists, "antagonists", nil, "some of "+strings.Join(antagonistNames(), ", ")+"; where only --victims are named, all")
	flags.BoolVar(&f.all, "all", false, "measure every pair")
	flags.IntVar(&f.samples, "samples", 0, fmt.Sprintf("blocks of each pair, with two turns of each side in each (by default %d, at least %d)", defaultBlocks, interfere.LeastBlocks))
	flags.DurationVar(&f.lasts, "for", 0, "how long to measure, in equal shares for the pairs, such as 10m")
	flags.DurationVar(&f.window, "window", defaultWindow, fmt.Sprintf("how long a turn is, from %s to %s", leastWindow, mostWindow))
	flags.Uint64Var(&f.seed, "seed", 0, "of the order of the turns; made up if not given")
	flags.StringSliceVar(&f.from, "from", nil, "files of records (interference.jsonl) to write again, as one matrix; nothing is measured")
	flags.BoolVar(&f.list, "list", false, "list victims, antagonists and means, and measure nothing")
	complete(c, "rungs", rungNames())
	complete(c, "means", append(meansNames(), fittingMeans))
	complete(c, "victims", victimNames())
	complete(c, "antagonists", antagonistNames())
	complete(c, "runtime", driver.Names())
	f.add(c, interfereFormats())
	flags.Lookup("verbose").Usage = "show the quantiles and causes of every cell, not only of those that are hurt"
	return c
}

func victimNames() (names []string) {
	for _, v := range interfere.Victims() {
		names = append(names, v.Name)
	}
	return names
}

func antagonistNames() (names []string) {
	for _, a := range interfere.Antagonists() {
		names = append(names, a.Name)
	}
	return names
}

func meansNames() (names []string) {
	for _, m := range interfere.AllMeans() {
		names = append(names, m.Name)
	}
	return names
}

// run measures and reports.
func (f *interfereFlags) run(c *cobra.Command) error {
	if f.list {
		return done(f.writeList(c.OutOrStdout()))
	}
	plan, err := f.plan()
	if err != nil {
		return err
	}
	if err := f.check(interfereFormats()); err != nil {
		return err
	}
	if len(f.from) > 0 {
		readsOnly()
		r, err := readInterference(f.from)
		if err != nil {
			return misuse("%w (records are what cellwall interfere --out DIR writes to DIR/interference.jsonl)", err)
		}
		return done(f.writeInterference(c.OutOrStdout(), r))
	}
	named := len(f.victims)+len(f.antagonists) > 0
	switch {
	case f.all && named:
		return misuse("--all is every pair: it goes without --victims and --antagonists")
	case !f.all && !named:
		return nothingNamed(c) // all pairs take minutes
	}
	r, stopped, err := f.measure(c, plan)
	if err != nil {
		return done(err)
	}
	if len(r.Cells) > 0 {
		if err := f.writeInterference(c.OutOrStdout(), r); err != nil {
			return done(err)
		}
	}
	return done(stopped)
}

// plan reads what is to be measured, before anything runs.
func (f *interfereFlags) plan() (p interfere.Plan, err error) {
	if p.Pairs, err = interfere.Pairs(f.victims, f.antagonists); err != nil {
		return p, misuse("%w (cellwall interfere --list shows them all)", err)
	}
	if err := driver.Check(f.runtime); err != nil {
		return p, misuse("--runtime: %w", err)
	}
	if p.Settings, err = f.settings(); err != nil {
		return p, err
	}
	switch {
	case f.samples != 0 && f.lasts != 0:
		return p, misuse("--samples and --for both say when to stop: give one of them")
	case f.samples < 0 || f.samples > 0 && f.samples < interfere.LeastBlocks:
		return p, misuse("--samples %d: want %d or more, with which a ratio has an interval", f.samples, interfere.LeastBlocks)
	case f.lasts < 0:
		return p, misuse("--for %s: want a time, such as 10m", f.lasts)
	case f.window < leastWindow || f.window > mostWindow:
		return p, misuse("--window %s: want from %s to %s", f.window, leastWindow, mostWindow)
	}
	p.Window, p.Blocks, p.For = f.window, f.samples, f.lasts
	if p.Blocks == 0 && p.For == 0 {
		p.Blocks = defaultBlocks
	}
	return p, nil
}

// settings are those of each pair: the rungs, and the means at the rung of limits.
func (f *interfereFlags) settings() (func(interfere.Pair) []interfere.Setting, error) {
	var rungs, named []interfere.Setting
	for _, text := range f.rungs {
		if text == "" {
			continue
		}
		rung, err := spec.ParseRung(text)
		if err != nil {
			return nil, misuse("--rungs: %w", err)
		}
		if slices.ContainsFunc(rungs, func(s interfere.Setting) bool { return s.Rung == rung }) {
			return nil, misuse("--rungs %s: one is there twice", strings.Join(f.rungs, ","))
		}
		if !rung.Covers(spec.Namespaces) {
			return nil, misuse("--rungs %s: a neighbour has a PID and a network namespace of its own: from %s on", rung, spec.Namespaces)
		}
		rungs = append(rungs, interfere.Setting{Rung: rung})
	}
	fitting := false
	for _, text := range f.means {
		switch text {
		case "":
			continue
		case fittingMeans:
			fitting = true
			continue
		}
		s, err := withMeans(text)
		if err != nil {
			return nil, misuse("--means: %w", err)
		}
		named = append(named, s)
	}
	if len(rungs)+len(named) == 0 && !fitting {
		return nil, misuse("neither --rungs nor --means names anything: nothing is to be measured")
	}
	return func(p interfere.Pair) []interfere.Setting {
		all := slices.Concat(rungs, named)
		if !fitting {
			return all
		}
		for _, text := range p.Antagonist.Means {
			s, err := withMeans(text)
			if err != nil {
				panic(fmt.Sprintf("means of %s: %v", p.Antagonist.Name, err)) // a row of our own table, which a test reads
			}
			if !slices.ContainsFunc(all, func(o interfere.Setting) bool { return o.Name() == s.Name() }) {
				all = append(all, s)
			}
		}
		return all
	}, nil
}

// withMeans is the rung of limits with means besides.
func withMeans(text string) (interfere.Setting, error) {
	means, err := interfere.ParseMeans(text)
	return interfere.Setting{Rung: spec.Limits, Means: means}, err
}

func (f *interfereFlags) writeList(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, v := range interfere.Victims() {
		fmt.Fprintf(w, "victim\t%s\tan operation %s\n", v.Name, v.Doc)
	}
	for _, a := range interfere.Antagonists() {
		fmt.Fprintf(w, "antagonist\t%s\t%s: it %s\n", a.Name, a.Resource, a.Doc)
	}
	for _, m := range interfere.AllMeans() {
		fmt.Fprintf(w, "means\t%s\t%s\n", m.Name, m.Doc)
	}
	return w.Flush()
}

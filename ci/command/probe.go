package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cellwall/probes"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
)

// probeFlags say what to watch and how to show it.
type probeFlags struct {
	cgroup    string
	container string
	attach    string
	limit     time.Duration
	slow      time.Duration
	summary   bool
	json      bool
	all       bool
	plot      string
}

func newProbe() *cobra.Command {
	var f probeFlags
	c := &cobra.Command{
		Use:   "probe [flags] [PROBE...] [-- PROGRAM [ARGUMENT...]]",
		Short: "watch from the kernel what limits do: throttling, OOM kills, refused forks, waits, reclaim",
		Long: "probe shows every event as the kernel sees it, on a cgroup and those below it, on a container, on a program that it\n" +
			"runs, or on the whole host: who is throttled, who was killed for memory and by whose allocation, who waits for a CPU\n" +
			"and for whom. Name probes, a group, a container or a program, or say --all. Where no probe is named, all are attached that\n" +
			"have something to watch:\n\n" + probeList(),
		Example: "  sudo cellwall probe --cgroup /kubepods.slice --for 30s --summary\n" +
			"  sudo cellwall probe throttle oom --container web\n" +
			"  sudo cellwall probe start -- runc run -b bundle test",
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			names, program := args, []string(nil)
			if at := c.ArgsLenAtDash(); at >= 0 {
				names, program = args[:at], args[at:]
			}
			return f.run(c, names, program)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.cgroup, "cgroup", "", "a cgroup: its path below the mount point, or its directory")
	flags.StringVar(&f.container, "container", "", "a container of cellwall run --id `NAME`")
	flags.BoolVar(&f.all, "all", false, "attach every probe, to the whole host where nothing else is named")
	flags.StringVar(&f.attach, "attach", "", fmt.Sprintf("how to attach, instead of the best way that the kernel has: one of %v", probes.Rungs()))
	flags.DurationVar(&f.limit, "for", 0, "stop after this time, such as 30s")
	flags.DurationVar(&f.slow, "slow", time.Millisecond, "the shortest wait for a CPU to show; the summary counts all")
	flags.BoolVar(&f.summary, "summary", false, "show no single events, but sum them up at the end")
	flags.BoolVar(&f.json, "json", false, "one JSON object a line: how each probe is attached, events, totals")
	flags.StringVar(&f.plot, "plot", "", "also draw the events over time into this SVG file")
	rungs := make([]string, 0, len(probes.Rungs()))
	for _, r := range probes.Rungs() {
		rungs = append(rungs, string(r))
	}
	complete(c, "attach", rungs)
	c.ValidArgsFunction = cobra.FixedCompletions(probes.Names(), cobra.ShellCompDirectiveNoFileComp)
	return c
}

func probeList() string {
	var b strings.Builder
	for _, name := range probes.Names() {
		sees, _, _ := probes.Describe(name) // it is one of Names
		fmt.Fprintf(&b, "  %-9s %s\n", name, sees)
	}
	return strings.TrimRight(b.String(), "\n")
}

// check finds what is wrong with how the command was called.
func (f *probeFlags) check(names, program []string) error {
	if f.all && len(names) > 0 {
		return misuse("--all is every probe: it goes without %s", strings.Join(names, " "))
	}
	for i, name := range names {
		if _, _, err := probes.Describe(name); err != nil {
			return misuse("%w", err)
		}
		if slices.Contains(names[:i], name) {
			return misuse("probe %s is there twice", name)
		}
	}
	if f.attach != "" && !slices.Contains(probes.Rungs(), probes.Rung(f.attach)) {
		return misuse("--attach %q is none of %v", f.attach, probes.Rungs())
	}
	if f.cgroup != "" && f.container != "" {
		return misuse("name a cgroup or a container, not both")
	}
	if slices.Contains(names, "start") && len(program) == 0 {
		return misuse("start watches a program: cellwall probe start -- PROGRAM [ARGUMENT...]")
	}
	if f.limit < 0 || f.slow < 0 {
		return misuse("a time cannot be negative")
	}
	if len(program) > 0 {
		if _, err := exec.LookPath(program[0]); err != nil {
			return misuse("%w", err)
		}
	}
	if f.plot == "" {
		return nil
	}
	info, err := os.Stat(f.plot)
	switch {
	case err != nil:
		return tryDirectory("--plot", filepath.Dir(f.plot))
	case info.IsDir():
		return misuse("--plot %s: it is a directory: name a file in it", f.plot)
	}
	return nil
}

func (f *probeFlags) run(c *cobra.Command, names, program []string) (err error) {
	if err := f.check(names, program); err != nil {
		return err
	}
	if !f.all && len(names)+len(program) == 0 && f.cgroup == "" && f.container == "" {
		return nothingNamed(c) // it would follow the whole host until it is stopped
	}
	if err := needRoot("probe loads BPF programs"); err != nil {
		return err
	}
	if len(names) == 0 {
		names = slices.DeleteFunc(probes.Names(), func(n string) bool { return n == "start" && len(program) == 0 })
	}
	// Go tries once whether it may use pidfds, with a child of its own that is not to be shown.
	if _, err := os.FindProcess(os.Getpid()); err != nil {
		return done(err)
	}
	var undo cleanup.Stack
	defer func() { err = errors.Join(err, done(undo.Close())) }()
	show := &probeView{out: c.OutOrStdout(), json: f.json, summary: f.summary, begin: time.Now()}
	for _, name := range names {
		p, err := f.open(name)
		if err != nil {
			return err
		}
		undo.Push("close probe", p.probe.Close)
		if err := show.add(p); err != nil {
			return done(err)
		}
	}
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	if f.limit > 0 {
		ctx, stop = context.WithTimeout(ctx, f.limit)
		defer stop()
	}
	ended := make(chan error, 1)
	if len(program) > 0 {
		if err := runBeside(ctx, program, c.InOrStdin(), c.ErrOrStderr(), ended, stop); err != nil {
			return err
		}
	} else {
		ended <- nil
	}
	err = show.follow(ctx)
	if f.plot != "" {
		err = errors.Join(err, show.plot(f.plot, time.Now()))
	}
	return errors.Join(done(err), <-ended)
}

// runBeside starts the program and stops the view when it has ended. Its output goes to our
// standard error, since ours is the events.
func runBeside(ctx context.Context, program []string, in io.Reader, out io.Writer, ended chan<- error, stop func()) error {
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return misuse("%w", err)
	}
	// The terminal sends it to the program as well, which decides. Before, the program would have begun to ignore it.
	signal.Ignore(os.Interrupt)
	go func() {
		err := cmd.Wait()
		stop()
		var status *exec.ExitError
		if errors.As(err, &status) {
			fmt.Fprintf(out, "cellwall: %s: %v\n", program[0], status)
			err = nil
		}
		ended <- done(err)
	}()
	return nil
}

// opened is a probe with the names of what it watches.
type opened struct {
	probe *probes.Probe
	names *probes.Cgroups // nil for a probe that watches processes
}

func (f *probeFlags) open(name string) (*opened, error) {
	_, controller, _ := probes.Describe(name) // check has asked
	o := probes.Options{Slow: f.slow, Root: os.Getpid()}
	if f.attach != "" {
		o.Rungs = []probes.Rung{probes.Rung(f.attach)}
	}
	p := &opened{}
	if controller != "" {
		root, err := cgroup.Mounted(controller)
		if err != nil {
			return nil, done(fmt.Errorf("probe %s: %w", name, err))
		}
		p.names = probes.NewCgroups(root)
		below, err := f.below(root)
		if err != nil {
			return nil, err
		}
		if below != "" {
			dir := filepath.Join(root, below)
			if _, err := os.Stat(dir); err != nil {
				return nil, misuse("no such cgroup for probe %s: %s", name, dir)
			}
			o.Cgroups = []string{dir}
		}
	}
	var err error
	if p.probe, err = probes.Open(name, o); err != nil {
		return nil, done(err)
	}
	return p, nil
}

// below is the path of the cgroup to watch below the mount point of a hierarchy, "" for all of the host.
func (f *probeFlags) below(root string) (string, error) {
	if f.container != "" {
		if err := core.ValidID(f.container); err != nil {
			return "", misuse("--container: %w", err)
		}
		entry, err := findContainer(f.container)
		if err != nil {
			return "", err
		}
		return cgroupOf(entry.State.Pid, root)
	}
	for _, controller := range []string{"cpu", "memory", "pids"} {
		if root, err := cgroup.Mounted(controller); err == nil {
			if below, ok := strings.CutPrefix(f.cgroup, root+"/"); ok {
				return below, nil
			}
		}
	}
	return f.cgroup, nil
}

// cgroupOf is the path of a process's own group in the hierarchy that is mounted at root. Those of v1 may differ.
func cgroupOf(pid int, root string) (string, error) {
	g, err := cgroup.Open(pid)
	if err != nil {
		return "", done(err)
	}
	defer g.Close() //nolint:errcheck // it is only a view
	for _, h := range g.Hierarchies() {
		if h.Below != "/" && h.Path == filepath.Join(root, h.Below) {
			return h.Below, nil
		}
	}
	return "", misuse("process %d has no cgroup of its own below %s", pid, root)
}

// follow shows events until ctx is done, then the totals.
func (v *probeView) follow(ctx context.Context) error {
	errs := make([]error, len(v.probes))
	var reading sync.WaitGroup
	for i, p := range v.probes {
		reading.Go(func() {
			for e, err := range p.probe.Events(ctx) {
				if err == nil {
					err = v.event(p, e)
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	reading.Wait()
	return errors.Join(errors.Join(errs...), v.end())
}

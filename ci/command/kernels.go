package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cellwall/ci/kernels"
	"cellwall/reports/render"
)

// matrixFile is where a checkout has its kernels.
const matrixFile = "ci/matrix.yaml"

// kernelFlags say where kernels are named and kept.
type kernelFlags struct {
	file  string
	cache string
}

func (f *kernelFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "file", matrixFile, "the matrix file: docs/kernels.md has its keys")
	c.Flags().StringVar(&f.cache, "cache", "", "directory of the kernels; by default cellwall/kernels in the user's cache directory")
}

// read reads the matrix file and takes the kernels that some globs name; without a glob, all.
func (f *kernelFlags) read(globs []string) ([]kernels.Entry, *kernels.Cache, error) {
	entries, err := kernels.Read(f.file)
	if errors.Is(err, fs.ErrNotExist) && f.file == matrixFile {
		return nil, nil, misuse("there is no %s here: run it in the checkout, or name a matrix file with --file", matrixFile)
	}
	if err != nil {
		return nil, nil, misuse("%w", err)
	}
	if entries, err = chooseKernels(entries, globs, f.file); err != nil {
		return nil, nil, err
	}
	cache := &kernels.Cache{Dir: f.cache}
	if f.cache == "" {
		if cache.Dir, err = kernels.DefaultDir(); err != nil {
			return nil, nil, misuse("%w: name one with --cache", err)
		}
	}
	return entries, cache, nil
}

// chooseKernels takes those that a glob names, in the order of the file. A glob that names none is an error.
func chooseKernels(entries []kernels.Entry, globs []string, file string) ([]kernels.Entry, error) {
	if len(globs) == 0 {
		return entries, nil
	}
	chosen := map[string]bool{}
	for _, glob := range globs {
		met := false
		for _, e := range entries {
			is, err := path.Match(glob, e.Name)
			if err != nil {
				return nil, misuse("kernel %q: %w", glob, err)
			}
			chosen[e.Name] = chosen[e.Name] || is
			met = met || is
		}
		if !met {
			var names []string
			for _, e := range entries {
				names = append(names, e.Name)
			}
			return nil, misuse("%s has no kernel %q: it has %s", file, glob, strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e kernels.Entry) bool { return !chosen[e.Name] }), nil
}

func newKernels() *cobra.Command {
	c := &cobra.Command{
		Use:   "kernels",
		Short: "get the kernels that cellwall matrix boots",
		Long: "kernels gets kernels of Debian's suites, each pinned by version and checksum in a matrix file, and keeps them in a\n" +
			"cache: once they are there, no network is needed. It needs no root, and changes nothing of the host's packages.",
		RunE: needsCommand("list, fetch and prune"),
	}
	c.AddCommand(newKernelsList(), newKernelsFetch(), newKernelsPrune())
	return c
}

func newKernelsList() *cobra.Command {
	var f kernelFlags
	c := &cobra.Command{
		Use:   "list [NAME...]",
		Short: "show the kernels of the matrix file, and which of them are there",
		Long: "list needs no network. Names may be globs.\n\n" +
			"Exit status: 0 shown, 2 wrong use, 3 a kernel that is there is damaged or cannot be used.",
		RunE: func(c *cobra.Command, args []string) error {
			entries, cache, err := f.read(args)
			if err != nil {
				return err
			}
			return listKernels(c.OutOrStdout(), cache.List(entries))
		},
	}
	f.add(c)
	return c
}

func listKernels(out io.Writer, list []kernels.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tARCH\tRELEASE\tSIZE\tPINNED\tCACHED")
	var errs []error
	for _, s := range list {
		pinned, cached, bytes := "no", "no", "-"
		switch {
		case s.Entry.Local():
			pinned = "by path"
		case s.Entry.Pinned():
			pinned = s.Entry.Pin[0].Version
		}
		switch {
		case s.Err != nil:
			cached = "damaged"
			errs = append(errs, s.Err)
		case s.Cached:
			cached, bytes = "yes", size(uint64(s.Bytes))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Entry.Name, s.Entry.Arch, cmp.Or(s.Release, "-"), bytes, pinned, cached)
	}
	return done(errors.Join(append(errs, w.Flush())...))
}

func newKernelsFetch() *cobra.Command {
	var f kernelFlags
	var pin, repin bool
	c := &cobra.Command{
		Use:   "fetch [NAME...]",
		Short: "get kernels into the cache",
		Long: "fetch gets what is not in the cache yet, and what is damaged there; without names, all kernels of the matrix file.\n" +
			"A kernel that is not pinned is refused: with --pin its newest version and checksum are written into the file first.\n\n" +
			"Exit status: 0 all are there, 2 wrong use, 3 one could not be had.",
		Example: "  cellwall kernels fetch\n  cellwall kernels fetch --pin 'debian-13*'\n  cellwall kernels fetch --repin debian-sid",
		RunE: func(c *cobra.Command, args []string) error {
			if repin && len(args) == 0 {
				return misuse("--repin takes the names of kernels, or '*' for all of them")
			}
			entries, cache, err := f.read(args)
			if err != nil {
				return err
			}
			j := fetchJob{cache: cache, file: f.file, pin: pin || repin, repin: repin, out: c.OutOrStdout()}
			width, is := terminalWidth(c.ErrOrStderr())
			j.progress = &render.BenchProgress{Out: c.ErrOrStderr(), Terminal: is, Width: width}
			return j.all(c.Context(), entries)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&pin, "pin", false, "pin those that are not, to the newest version, in the matrix file")
	c.Flags().BoolVar(&repin, "repin", false, "pin all that are named anew, to the newest version")
	return c
}

// fetchJob gets kernels one after the other.
type fetchJob struct {
	cache      *kernels.Cache
	file       string
	pin, repin bool
	out        io.Writer
	progress   *render.BenchProgress
}

// all gets what can be had, and says at last what could not.
func (j *fetchJob) all(ctx context.Context, entries []kernels.Entry) error {
	var errs []error
	for i, e := range entries {
		k, err := j.one(ctx, e, func(s kernels.Step) {
			share := float64(i)
			if s.Total > 0 {
				share += float64(s.Done) / float64(s.Total)
			}
			j.progress.Step(e.Name+": "+s.Phase, i+1, len(entries), share/float64(len(entries)))
		})
		j.progress.Finish()
		if ctx.Err() != nil {
			return done(ctx.Err())
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(j.out, "%s is %s\n", e.Name, k.Release)
	}
	return done(few(errs...))
}

func (j *fetchJob) one(ctx context.Context, e kernels.Entry, tell kernels.Progress) (kernels.Kernel, error) {
	if j.repin && !e.Local() || j.pin && !e.Pinned() {
		pinned, err := j.cache.Resolve(ctx, e, tell)
		if err != nil {
			return kernels.Kernel{}, err
		}
		// Fetched first: what is written down has been seen to be a kernel.
		k, err := j.cache.Fetch(ctx, pinned, tell)
		if err != nil {
			return k, err
		}
		return k, kernels.Pin(j.file, map[string][]kernels.Deb{e.Name: pinned.Pin})
	}
	return j.cache.Fetch(ctx, e, tell)
}

func newKernelsPrune() *cobra.Command {
	var f kernelFlags
	var dry bool
	c := &cobra.Command{
		Use:   "prune",
		Short: "remove kernels from the cache that the matrix file does not name",
		Long: "prune removes kernels and indexes that the matrix file does not name, and what killed runs have left.\n\n" +
			"Exit status: 0 removed or nothing to remove, 2 wrong use, 3 something could not be removed.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			entries, cache, err := f.read(nil)
			if err != nil {
				return err
			}
			gone, err := cache.Prune(c.Context(), entries, dry)
			verb, total := "removed", int64(0)
			if dry {
				verb = "would remove"
			}
			for _, r := range gone {
				fmt.Fprintf(c.OutOrStdout(), "%s %s, %s: %s\n", verb, r.What, size(uint64(r.Bytes)), r.Path)
				total += r.Bytes
			}
			if len(gone) == 0 && err == nil {
				fmt.Fprintln(c.OutOrStdout(), "nothing to remove")
			} else {
				fmt.Fprintf(c.OutOrStdout(), "%s %s in all\n", verb, size(uint64(total)))
			}
			return done(err)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&dry, "dry-run", false, "only list what would be removed")
	return c
}

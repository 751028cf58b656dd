package command

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/suites/guarantee"
)

// format is one way to write a report.
type format struct {
	name string
	// file is its name in --out, where a * stands for a runtime: then each has a file of its own.
	// Empty is always the terminal's.
	file   string
	always bool // written into --out also where nobody asked
	write  func(io.Writer, render.Report) error
}

// verifyFormats are the ways to write verdicts on runtimes, new or stored.
func verifyFormats(t render.Text) []format {
	return []format{
		{name: "text", write: func(w io.Writer, r render.Report) error { return render.VerifyText(w, r, t) }},
		{name: "markdown", file: "report.md", write: render.VerifyMarkdown},
		{name: "junit", file: "junit.xml", write: render.JUnit},
		{name: "sarif", file: "report.sarif", write: func(w io.Writer, r render.Report) error { return render.SARIF(w, r, rules()) }},
		{name: "page", file: "*.md", write: func(w io.Writer, r render.Report) error { return render.Page(w, r, driver.How) }},
	}
}

// recordsFile holds the records in --out.
const recordsFile = "records.jsonl"

// records is the format in which verdicts are stored.
func records() format {
	return format{name: "jsonl", file: recordsFile, always: true, write: writeRecords}
}

func writeRecords(w io.Writer, r render.Report) error {
	out := record.NewWriter(w)
	if err := out.Run(r.Run); err != nil {
		return err
	}
	for _, v := range r.Verdicts {
		if err := out.Verdict(v); err != nil {
			return err
		}
	}
	return nil
}

// rules is the catalogue in the words that a report needs.
func rules() map[string]render.Rule {
	all := map[string]render.Rule{}
	for _, g := range guarantee.All() {
		all[g.ID] = render.Rule{Barrier: g.Barrier, Source: g.Source}
	}
	return all
}

func formatNames(formats []format) []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// outputFlags say what becomes of a report.
type outputFlags struct {
	out     string
	format  []string
	verbose bool
}

func (f *outputFlags) add(c *cobra.Command, formats []format) {
	names := formatNames(formats)
	flags := c.Flags()
	flags.StringVar(&f.out, "out", "", "directory for the files; made if it is not there")
	flags.StringSliceVar(&f.format, "format", []string{"text"}, "what to write: "+strings.Join(names, ", "))
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show every try, and the attack on the barrier alone")
	complete(c, "format", names)
}

// check refuses what names nothing, before anything runs.
func (f *outputFlags) check(formats []format) error {
	names := formatNames(formats)
	if len(f.format) == 0 {
		return misuse("--format names nothing: it takes some of %s", strings.Join(names, ", "))
	}
	for _, name := range f.format {
		if !slices.Contains(names, name) {
			return misuse("--format %q is none of %s", name, strings.Join(names, ", "))
		}
	}
	if len(f.format) > 1 && f.out == "" {
		return misuse("--format %s needs --out: several formats cannot share one output", strings.Join(f.format, ","))
	}
	return f.checkOut()
}

// checkOut refuses a directory in which no file can be made: after a run all that it found would be lost.
func (f *outputFlags) checkOut() error {
	if f.out == "" {
		return nil
	}
	return tryDirectory("--out", f.out)
}

// tryDirectory makes a file and removes it again, in a directory or in the nearest one above it that is there: access(2) says
// yes of /proc and /sys.
func tryDirectory(flag, path string) error {
	dir := path
	info, err := os.Stat(dir)
	for errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir) {
		if _, link := os.Lstat(dir); link == nil {
			break // to nowhere
		}
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	switch {
	case err != nil:
		return misuse("%s %s: %w", flag, path, err)
	case !info.IsDir():
		return misuse("%s %s: %s is no directory", flag, path, dir)
	}
	file, err := os.CreateTemp(dir, ".cellwall-*")
	if err != nil {
		return misuse("%s %s: make a file in %s: %w", flag, path, dir, withoutPath(err))
	}
	return done(errors.Join(file.Close(), os.Remove(file.Name())))
}

func (f *outputFlags) text(out io.Writer) render.Text {
	width, is := terminalWidth(out)
	t := render.Text{Width: width, Verbose: f.verbose}
	if is && os.Getenv("NO_COLOR") == "" {
		t.Style = render.Colour
	}
	return t
}

// write writes the formats: what has a file into --out, or to stdout where there is no --out. The records come
// first, as nothing can make them again, and stdout last: who reads it may be gone. What
// cannot be written keeps nothing else from being written.
func (f *outputFlags) write(out io.Writer, r render.Report, formats []format) error {
	stdout := func(name string) bool { return f.out == "" || name == "" }
	turn := func(to format) int {
		switch {
		case stdout(to.file):
			return 2
		case to.always:
			return 0
		}
		return 1
	}
	var errs []error
	for _, to := range slices.SortedStableFunc(slices.Values(formats), func(a, b format) int { return turn(a) - turn(b) }) {
		if !slices.Contains(f.format, to.name) && (!to.always || f.out == "") {
			continue
		}
		files, err := to.files(r)
		errs = append(errs, err)
		for _, file := range files {
			if stdout(file.name) {
				err = to.write(out, file.report)
			} else {
				err = writeFile(filepath.Join(f.out, file.name), file.report, to.write)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// file is a file of a format, and the report in it.
type file struct {
	name   string
	report render.Report
}

// files are those that a format makes of a report.
func (f format) files(r render.Report) ([]file, error) {
	if !strings.Contains(f.file, "*") {
		return []file{{f.file, r}}, nil
	}
	var files []file
	for _, one := range r.ByRuntime() {
		name := strings.ReplaceAll(f.file, "*", fileName(one.Verdicts[0].Runtime))
		if slices.ContainsFunc(files, func(other file) bool { return other.name == name }) {
			return nil, fmt.Errorf("two runtimes would be written to %s: write them one at a time", name)
		}
		files = append(files, file{name, one})
	}
	return files, nil
}

// fileName makes a name for a file of that of a runtime, which may be a path: "oci-usr-bin-youki".
func fileName(runtime string) string {
	parts := strings.FieldsFunc(runtime, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_'
	})
	if name := strings.TrimLeft(strings.Join(parts, "-"), ".-"); name != "" {
		return name
	}
	return "unnamed"
}

// holdEnds keeps the signals that ask us to end until it is undone, also from a command that only reads.
func holdEnds() (undo func()) {
	held := make(chan os.Signal, 1)
	signal.Notify(held, Ends()...)
	return func() {
		signal.Stop(held)
		select {
		case s := <-held:
			_ = unix.Kill(os.Getpid(), s.(unix.Signal)) // Notify sends no other
		default:
		}
	}
}

// writeFile writes a report into a file as a whole, or leaves what is there: a full disk, an interrupt or a second run
// with the same --out makes no half of a file. The other name is not os.CreateTemp's, whose files nobody else may read.
func writeFile(path string, r render.Report, write func(io.Writer, render.Report) error) (err error) {
	defer holdEnds()()
	dir, name := filepath.Split(path)
	if err := os.MkdirAll(filepath.Clean(dir), 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	part := filepath.Join(dir, "."+name+"-"+rand.Text())
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err = errors.Join(write(file, r), file.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, withoutPath(err)), os.Remove(part))
	}
	return nil
}

// withoutPath takes away the name of a temporary file, which says nothing to anybody.
func withoutPath(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	if at := (*os.LinkError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}

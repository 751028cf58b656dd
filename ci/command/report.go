package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func newReport() *cobra.Command {
	var f outputFlags
	c := &cobra.Command{
		Use:   "report FILE.jsonl|DIR",
		Short: "write stored records again, in any format",
		Long: "report reads the records that verify has stored (--out DIR) and writes them again. It runs nothing and needs no privilege.\n\n" +
			"Exit status: 0 written, 2 wrong use or an unusable file, 3 the records are of a run that was stopped, or our own failure.",
		Example: "  cellwall report out/records.jsonl\n  cellwall report out/records.jsonl --format markdown,sarif --out out\n" +
			"  cellwall report out/records.jsonl --format page --out docs/runtimes",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misuse("report takes one file of records, not %d: cellwall report out/records.jsonl", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			formats := verifyFormats(f.text(c.OutOrStdout()))
			if err := f.check(formats); err != nil {
				return err
			}
			r, err := readReport(args[0])
			if err != nil {
				return misuse("%w (records are what cellwall verify --out DIR writes to DIR/records.jsonl)", err)
			}
			if err := f.write(c.OutOrStdout(), r, formats); err != nil {
				return done(err)
			}
			if got := len(r.Verdicts); got < r.Run.Asked {
				return done(fmt.Errorf("%s: the run was stopped after %d of %d guarantees", args[0], got, r.Run.Asked))
			}
			return nil
		},
	}
	f.add(c, verifyFormats(render.Text{}))
	return c
}

// readReport reads the records of one run.
func readReport(path string) (_ render.Report, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, recordsFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return render.Report{}, fmt.Errorf("read records: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	set, err := record.Read(path, file)
	if err != nil {
		return render.Report{}, err
	}
	run, verdicts, err := set.One()
	if err != nil {
		return render.Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return render.Report{Run: run, Verdicts: verdicts}, nil
}

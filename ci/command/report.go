package command

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func newReport() *cobra.Command {
	var f outputFlags
	c := &cobra.Command{
		Use:   "report FILE.jsonl|DIR...",
		Short: "write stored records again, in any format",
		Long: "report reads the records that verify has stored (--out DIR) and writes them again. It runs nothing and needs no privilege.\n" +
			"Records of cellwall matrix may be several files, one a shard: they are shown as one matrix, as text or markdown.\n\n" +
			"Exit status: 0 written, 2 wrong use or an unusable file, 3 the records are of a run that was stopped, or our own failure.",
		Example: "  cellwall report out/records.jsonl\n  cellwall report out/records.jsonl --format markdown,sarif --out out\n" +
			"  cellwall report out/records.jsonl --format page --out docs/runtimes",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misuse("report takes one file of records, or those of all shards of a matrix: cellwall report out/records.jsonl")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			formats := verifyFormats(f.text(c.OutOrStdout()))
			if err := f.check(formats); err != nil {
				return err
			}
			readsOnly()
			sets, err := readSets(args)
			if err == nil && slices.ContainsFunc(sets, func(s record.Set) bool { return s.IsMatrix() }) {
				return f.reportMatrix(c.OutOrStdout(), sets)
			}
			if err == nil && len(args) > 1 {
				return misuse("report takes one file of records, not %d, unless they are shards of cellwall matrix", len(args))
			}
			var r render.Report
			if err == nil {
				r, err = oneReport(args[0], &sets[0])
			}
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

// readSets reads files of records, or those in directories.
func readSets(paths []string) ([]record.Set, error) {
	var sets []record.Set
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, recordsFile)
		}
		set, err := readSet(path)
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// oneReport makes a report of the records of one run.
func oneReport(path string, set *record.Set) (render.Report, error) {
	run, verdicts, err := set.One()
	if err != nil {
		return render.Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return render.Report{Run: run, Verdicts: verdicts}, nil
}

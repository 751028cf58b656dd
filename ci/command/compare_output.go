package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

// compareFormats names the formats; writeCompare knows how each is written.
func compareFormats() []format { return []format{{name: "text"}, {name: "markdown"}} }

// writeCompare writes the formats, and with --out always the records of what was measured.
func (f *compareFlags) writeCompare(out io.Writer, r *compareReport) error {
	text := f.text(out)
	for _, to := range []struct {
		name, file string
		write      func(io.Writer, render.Report) error
	}{
		{"text", "", func(w io.Writer, _ render.Report) error { return render.CompareText(w, r.Compare, text) }},
		{"markdown", "compare.md", func(w io.Writer, _ render.Report) error { return render.CompareMarkdown(w, r.Compare) }},
		{"", "compare.jsonl", func(w io.Writer, _ render.Report) error { return writeMeasurements(w, r.first) }},
		{"", "confirm.jsonl", func(w io.Writer, _ render.Report) error { return writeMeasurements(w, r.fresh) }},
	} {
		stored := to.file == "compare.jsonl" && len(r.first) > 0 || to.file == "confirm.jsonl" && len(r.fresh) > 0
		switch {
		case !slices.Contains(f.format, to.name) && (!stored || f.out == ""):
		case f.out == "" || to.file == "":
			if err := to.write(out, render.Report{}); err != nil {
				return err
			}
		default:
			if err := os.MkdirAll(f.out, 0o755); err != nil {
				return fmt.Errorf("make --out: %w", err)
			}
			if err := writeFile(filepath.Join(f.out, to.file), render.Report{}, to.write); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeMeasurements(w io.Writer, of []measurement) error {
	out := record.NewWriter(w)
	for _, m := range of {
		if err := out.Run(m.run); err != nil {
			return err
		}
		for _, b := range m.benches {
			if err := out.Bench(b); err != nil {
				return err
			}
		}
	}
	return nil
}

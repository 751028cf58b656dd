package command

import (
	"io"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

// compareFormats names the formats; writeCompare knows how each is written.
func compareFormats() []format { return []format{{name: "text"}, {name: "markdown"}} }

// writeCompare writes the formats, and with --out always the records of what was measured.
func (f *compareFlags) writeCompare(out io.Writer, r *compareReport) error {
	text := f.text(out)
	return f.write(out, render.Report{}, []format{
		{name: "text", write: func(w io.Writer, _ render.Report) error { return render.CompareText(w, r.Compare, text) }},
		{name: "markdown", file: "compare.md", write: func(w io.Writer, _ render.Report) error { return render.CompareMarkdown(w, r.Compare) }},
		{file: "compare.jsonl", always: len(r.first) > 0, write: func(w io.Writer, _ render.Report) error { return writeMeasurements(w, r.first) }},
		{file: "confirm.jsonl", always: len(r.fresh) > 0, write: func(w io.Writer, _ render.Report) error { return writeMeasurements(w, r.fresh) }},
	})
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

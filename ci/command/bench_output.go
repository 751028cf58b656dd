package command

import (
	"io"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

// benchReport is a run of benchmarks, and its records as they are stored.
type benchReport struct {
	render.Bench
	benches []record.Bench
}

// writeBench writes the formats, and with --out always the records.
func (f *benchFlags) writeBench(out io.Writer, r benchReport) error {
	text := f.text(out)
	return f.write(out, render.Report{}, []format{
		{name: "text", write: func(w io.Writer, _ render.Report) error { return render.BenchText(w, r.Bench, text) }},
		{name: "markdown", file: "bench.md", write: func(w io.Writer, _ render.Report) error { return render.BenchMarkdown(w, r.Bench) }},
		{name: "gobench", file: "bench.txt", write: func(w io.Writer, _ render.Report) error { return render.BenchGo(w, r.Bench) }},
		{name: "jsonl", file: "bench.jsonl", always: true, write: func(w io.Writer, _ render.Report) error { return r.writeRecords(w) }},
	})
}

// benchFormats names the formats; writeBench knows how each is written.
func benchFormats() []format {
	return []format{{name: "text"}, {name: "markdown"}, {name: "gobench"}, {name: "jsonl"}}
}

func (r benchReport) writeRecords(w io.Writer) error {
	out := record.NewWriter(w)
	if err := out.Run(r.Run); err != nil {
		return err
	}
	for _, b := range r.benches {
		if err := out.Bench(b); err != nil {
			return err
		}
	}
	return nil
}

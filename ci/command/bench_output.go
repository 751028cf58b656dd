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

// benchReport is a run of benchmarks, and its records as they are stored.
type benchReport struct {
	render.Bench
	benches []record.Bench
}

// writeBench writes the formats, and with --out always the records.
func (f *benchFlags) writeBench(out io.Writer, r benchReport) error {
	text := f.text(out)
	for _, to := range []struct {
		name, file string
		write      func(io.Writer) error
	}{
		{"text", "", func(w io.Writer) error { return render.BenchText(w, r.Bench, text) }},
		{"markdown", "bench.md", func(w io.Writer) error { return render.BenchMarkdown(w, r.Bench) }},
		{"gobench", "bench.txt", func(w io.Writer) error { return render.BenchGo(w, r.Bench) }},
		{"jsonl", "bench.jsonl", r.writeRecords},
	} {
		asked := slices.Contains(f.format, to.name) || to.name == "jsonl" && f.out != ""
		switch {
		case !asked:
		case f.out == "" || to.file == "":
			if err := to.write(out); err != nil {
				return err
			}
		default:
			if err := os.MkdirAll(f.out, 0o755); err != nil {
				return fmt.Errorf("make --out: %w", err)
			}
			write := func(w io.Writer, _ render.Report) error { return to.write(w) }
			if err := writeFile(filepath.Join(f.out, to.file), render.Report{}, write); err != nil {
				return err
			}
		}
	}
	return nil
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

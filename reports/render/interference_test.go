package render_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/reports/render"
)

// felt is a cell whose latencies beside the antagonist are factor times those alone, in each block.
func felt(victim, antagonist, resource, setting string, factors ...float64) record.Interference {
	i := record.Interference{
		Run: "r1", Victim: victim, Antagonist: antagonist, Resource: resource, Setting: setting, Rung: "limits", Limited: setting != "namespaces",
		Runtime: "core", RuntimeVersion: "0.1.0", FenceLimits: "memory 768 MiB, tasks 1024", Seed: 7, Warmup: 1, Window: 0.25,
		AloneCauses:  record.Causes{Waited: record.Stall{Count: 10, Seconds: 0.002}, CPU: 0.1},
		BesideCauses: record.Causes{Waited: record.Stall{Count: 10, Seconds: 0.002}, CPU: 0.1},
		AloneOthers:  record.Others{CPU: 0.01, Of: 3}, BesideOthers: record.Others{CPU: 0.02, Of: 3},
	}
	for _, f := range factors {
		i.Blocks = append(i.Blocks, record.Duel{Alone: lasting(1), Beside: lasting(f)})
	}
	return i
}

func lasting(factor float64) record.Side {
	us := func(n float64) int64 { return int64(1000 * n * factor) }
	return record.Side{
		Latencies: record.Histogram{Unit: "ns", Digits: 3, Counts: [][2]int64{{us(50), 960}, {us(100), 35}, {us(400), 5}}},
		Median:    50e-6 * factor, Seconds: 0.5,
	}
}

func interference(t *testing.T) render.Interference {
	t.Helper()
	six := func(x float64) []float64 { return []float64{x, x * 1.01, x * 1.02, x * 0.99, x, x * 0.98} }
	hurt := felt("request", "cpu", "cpu", "namespaces", six(12)...)
	hurt.BesideCauses.Waited, hurt.BesideCauses.WaitedFor.Antagonist = record.Stall{Count: 900, Seconds: 1.25}, 1.1
	hurt.Blocks[0].Beside.Unserved = 3
	held := felt("request", "cpu", "cpu", "limits", six(1.02)...)
	held.VictimLimits, held.AntagonistLimits = "memory 256 MiB, tasks 256", "cpu 100ms in 100ms, memory 256 MiB, tasks 256"
	held.AntagonistCauses.Throttled = record.Stall{Count: 7, Seconds: 0.7}
	memory := felt("request", "memory", "memory", "namespaces", six(1.6)...)
	memory.BesideCauses.Reclaimed, memory.AntagonistCauses.OOMKills = record.Stall{Count: 5, Seconds: 0.3}, 12
	memory.AntagonistCauses.Reclaimed = record.Stall{Count: 3, Seconds: 0.5}
	memory.AloneOthers.CPU = 1
	forks := felt("fork", "fork", "tasks", "namespaces", six(1000)...)
	forks.BesideCauses.RefusedForks, forks.AntagonistCauses.RefusedForks = 4000, 500
	pressed := felt("fork", "fork", "tasks", "limits", six(2.5)...)
	pressed.BesideCauses.Throttled = record.Stall{Count: 9, Seconds: 0.9}
	few := felt("fork", "memory", "memory", "namespaces", 3, 3)
	lacking := record.Interference{Run: "r1", Victim: "request", Antagonist: "write", Resource: "disk", Setting: "limits", Unsupported: "not supported: io controller: " + hostile}
	strange := felt(hostile, hostile, hostile, "limits", six(1)...)
	strange.Unwatched = []string{hostile}
	cells, err := digest.Cells([]record.Interference{hurt, memory, forks, few, held, lacking, pressed, strange})
	if err != nil {
		t.Fatal(err)
	}
	run := host()
	run.Benching = &record.Benching{
		Seed: 7, Rule: "6 blocks of four turns of 250ms", Before: record.Host{Load: [3]float64{0.5}, CPUTicks: 100}, After: record.Host{Load: [3]float64{1.5}, CPUTicks: 200, StealTicks: 10},
		Stopped: "interrupted after 8 records",
	}
	return render.Interference{Runs: []record.Run{run}, Cells: cells}
}

func TestInterferenceGoldens(t *testing.T) {
	r := interference(t)
	for name, write := range map[string]func(io.Writer) error{
		"interference.txt":         func(w io.Writer) error { return render.InterferenceText(w, r, render.Text{}) },
		"interference-verbose.txt": func(w io.Writer) error { return render.InterferenceText(w, r, render.Text{Verbose: true, Width: 80}) },
		"interference-colour.txt":  func(w io.Writer) error { return render.InterferenceText(w, r, render.Text{Style: render.Colour}) },
		"interference.md":          func(w io.Writer) error { return render.InterferenceMarkdown(w, r) },
		"interference.svg":         func(w io.Writer) error { return render.InterferenceSVG(w, r) },
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, bytesOf(t, func(b *bytes.Buffer) error { return write(b) }))
		})
	}
}

func TestInterferenceOfNothing(t *testing.T) {
	var b bytes.Buffer
	for _, err := range []error{
		render.InterferenceText(&b, render.Interference{}, render.Text{}), render.InterferenceMarkdown(&b, render.Interference{}), render.InterferenceSVG(&b, render.Interference{}),
	} {
		if err == nil || b.Len() > 0 {
			t.Errorf("got %v and %q", err, &b)
		}
	}
}

// TestInterferenceSVG: it is well-formed, every cell has a title and is at a place of its own, within the
// picture.
func TestInterferenceSVG(t *testing.T) {
	r := interference(t)
	text := bytesOf(t, func(b *bytes.Buffer) error { return render.InterferenceSVG(b, r) })
	places := map[string]bool{}
	cells := 0
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "rect" {
			continue
		}
		at := map[string]string{}
		for _, a := range e.Attr {
			at[a.Name.Local] = a.Value
		}
		if at["width"] == "80" {
			cells++
			places[at["x"]+","+at["y"]] = true
		}
	}
	if cells != len(r.Cells) || len(places) != cells {
		t.Errorf("%d cells at %d places, want %d", cells, len(places), len(r.Cells))
	}
	for _, want := range []string{"waits for CPU", "frees memory", "forks refused", "throttled", "request beside cpu at namespaces: p50 12.0 (11.8 to 12.2) of 50.0 us"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in it", want)
		}
	}
}

package render_test

import (
	"bytes"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/reports/stats"
)

// change is a row of a comparison in which new is so many times old.
func change(benchmark, rung string, unit record.Unit, better record.Better, old, ratio, p, finds float64) digest.Change {
	around := func(x, by float64) stats.Interval {
		return stats.Interval{Point: x, Low: x * (1 - by), High: x * (1 + by), Confidence: 0.95}
	}
	return digest.Change{
		Key:  digest.Key{Benchmark: benchmark, Runtime: "core", Rung: rung},
		Unit: unit, Better: better, Old: around(old, 0.02), New: around(old*ratio, 0.02), Ratio: around(ratio, 0.01),
		P: p / 10, Adjusted: p, Finds: finds, Units: 20,
	}
}

// fresh adds a fresh run that has shown a ratio.
func fresh(c digest.Change, ratio, p float64) digest.Change {
	f := change(c.Benchmark, c.Rung, c.Unit, c.Better, c.Old.Point, ratio, p, c.Finds)
	c.Fresh = &f
	return c
}

// versions is a comparison with all that a table can hold, and hostile text where a record has text.
func versions() render.Compare {
	lacking := change("start.exec-into", "hardened", record.Seconds, record.Lower, 1, 1, 1, 1)
	lacking.None = "unsupported on the new side: " + hostile
	return render.Compare{
		Run: host(), Old: "HEAD~1 (a68b550c1234)", New: "HEAD " + hostile, Effect: 0.05, Notes: []string{"Both took turns in 20 rounds."},
		Changes: []digest.Change{
			change("start.exec", "hardened", record.Seconds, record.Lower, 2.8e-3, 1.004, 0.4, 0.02),
			fresh(change("start.exit", "hardened", record.Seconds, record.Lower, 2.9e-3, 1.052, 0.0001, 0.02), 1.06, 0.002),
			fresh(change("start.exit", "limits", record.Seconds, record.Lower, 2.9e-3, 1.052, 0.02, 0.02), 0.99, 0.6),
			fresh(change("rate.16", "hardened", record.PerSecond, record.Higher, 367, 1.25, 0.004, 0.03), 1.2, 0.01),
			change("memory.smallest", "hardened", record.Bytes, record.Lower, 176<<10, 12, 0.01, 0.01),
			change("throttle.5-by-8", "hardened", record.Ratio, record.One, 0.99, 1.002, 0.9, 0.3),
			change("rate.1", "hardened", record.PerSecond, record.Higher, 136, 0.98, 0.2, math.Inf(1)),
			lacking,
			change(hostile, "bare", record.Seconds, record.Lower, 2e-9, 1, 1, 0.01),
		},
	}
}

func TestCompareText(t *testing.T) {
	r := versions()
	for name, style := range map[string]render.Text{"versions.txt": {}, "versions-80.txt": {Width: 80}, "versions-colour.txt": {Style: render.Colour}} {
		got := bytesOf(t, func(b *bytes.Buffer) error { return render.CompareText(b, r, style) })
		golden(t, name, got)
		if style.Style == render.Plain && bytes.ContainsAny(got, "\x1b\r\x07") {
			t.Errorf("%s: a control character got through", name)
		}
	}
	r.Apart, r.Effect = true, 0
	r.Changes = []digest.Change{r.Changes[0], r.Changes[4], change("rate.2", "hardened", record.PerSecond, record.Higher, 1, 0.5, 0.01, 0.1)}
	golden(t, "versions-apart.txt", bytesOf(t, func(b *bytes.Buffer) error { return render.CompareText(b, r, render.Text{}) }))
}

func TestCompareMarkdown(t *testing.T) {
	golden(t, "versions.md", bytesOf(t, func(b *bytes.Buffer) error { return render.CompareMarkdown(b, versions()) }))
}

func TestNoChangeIsNoReport(t *testing.T) {
	for _, write := range []func(io.Writer) error{
		func(w io.Writer) error { return render.CompareText(w, render.Compare{}, render.Text{}) },
		func(w io.Writer) error { return render.CompareMarkdown(w, render.Compare{}) },
	} {
		var b bytes.Buffer
		if err := write(&b); err == nil || b.Len() > 0 {
			t.Errorf("got %q, %v", &b, err)
		}
	}
}

// FuzzCompareText: whatever numbers and names there are, no control character gets through and nothing panics.
func FuzzCompareText(f *testing.F) {
	f.Add("start.exec", 1.0, 1.05, 0.01, 0.02, 0.05)
	f.Add(hostile, -1.0, 0.0, 2.0, math.Inf(1), 0.0)
	f.Add("", math.NaN(), math.Inf(-1), math.NaN(), 0.0, math.NaN())
	f.Fuzz(func(t *testing.T, name string, old, ratio, p, finds, effect float64) {
		for _, unit := range record.Units() {
			c := change(name, name, unit, record.Lower, old, ratio, p, finds)
			none := c
			none.None = name
			r := render.Compare{Old: name, New: name, Effect: effect, Notes: []string{name}, Changes: []digest.Change{c, fresh(c, ratio, p), none}}
			for _, write := range []func(*bytes.Buffer) error{
				func(w *bytes.Buffer) error { return render.CompareText(w, r, render.Text{Width: 80}) },
				func(w *bytes.Buffer) error { return render.CompareMarkdown(w, r) },
			} {
				out := bytesOf(t, write)
				if i := slices.IndexFunc(out, func(c byte) bool { return c < ' ' && c != '\n' }); i >= 0 {
					t.Fatalf("a control character in %q", out)
				}
			}
		}
	})
}

// TestAFreshRunWithoutARatio says nothing: the change is neither confirmed nor not.
func TestAFreshRunWithoutARatio(t *testing.T) {
	c := fresh(change("memory.available", "hardened", record.Bytes, record.Lower, 1e6, 1.2, 0.001, 0.02), 1, 1)
	*c.Fresh = digest.Change{Key: c.Key, None: "only positive numbers have a ratio"}
	got := string(bytesOf(t, func(b *bytes.Buffer) error {
		return render.CompareText(b, render.Compare{Run: host(), Old: "a", New: "b", Changes: []digest.Change{c}}, render.Text{})
	}))
	const want = "memory.available seems to be worse: new/old is 1.200 (1.188 to 1.212), and the fresh run cannot be compared: only positive numbers have a ratio.\n"
	if !strings.Contains(got, want) || !strings.Contains(got, "1 candidate") {
		t.Errorf("got\n%s", got)
	}
}

package render_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cellwall/reports/history"
	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/reports/stats"
)

// series is one of n runs that changes by a factor at a run.
func series(benchmark, host string, unit record.Unit, better record.Better, n, at int, factor float64) *history.Series {
	random := rand.New(rand.NewPCG(uint64(n), uint64(at)))
	s := &history.Series{Key: history.Key{Benchmark: benchmark, Runtime: "core", Rung: "hardened", Host: host}, Unit: unit, Better: better}
	for i := range n {
		level := 3e-3 * math.Exp(0.02*random.NormFloat64())
		if i >= at {
			level *= factor
		}
		s.Points = append(s.Points, history.Point{
			Run: &history.Run{
				ID: fmt.Sprintf("bench-%03d", i), Time: time.Date(2026, 11, 1, i, 0, 0, 0, time.UTC), Commit: fmt.Sprintf("%012x", 4711*(i+1)), Host: host,
			},
			Median: level, Log: math.Log(level / 3e-4),
		})
	}
	return s
}

// changed is the change of a series at a run.
func changed(s *history.Series, at int, ratio, p float64, ack *history.Ack) *history.Change {
	return &history.Change{
		Series: s, At: at, Low: at - 1, High: at + 1, Ratio: stats.Interval{Point: ratio, Low: ratio * 0.98, High: ratio * 1.02}, Adjusted: p, Ack: ack,
	}
}

// kept is a history with all that can be shown of one, and hostile text where a record has text.
func kept() render.History {
	const here = "x86_64, 2 CPUs, Linux 6.18"
	exec := series("start.exec", here, record.Seconds, record.Lower, 60, 40, 1.1)
	exit := series("start.exit", here, record.Seconds, record.Lower, 60, 45, 1.2)
	rate := series("rate.16", here, record.PerSecond, record.Higher, 60, 30, 1.3)
	maybe := series("start.create", here, record.Seconds, record.Lower, 25, 9, 1.05)
	odd := series(hostile, "aarch64, 64 CPUs, Linux "+hostile, record.Bytes, record.Lower, 1, 9, 1)
	odd.Points[0].Run.ID, odd.Points[0].Run.Commit = hostile, hostile
	single := changed(rate, 30, 1.3, 0.002, nil)
	single.Low, single.High = 30, 30
	return render.History{
		Dir: "history " + hostile, Runs: 61, Asked: "the newest 30 runs", Series: []*history.Series{odd, rate, maybe, exec, exit},
		Changes: []*history.Change{
			changed(maybe, 9, 1.05, 0.4, nil), single, changed(exit, 45, 1.2, 0.0001, &history.Ack{Run: "bench-045", Reason: "the profile has grown " + hostile}),
			changed(exec, 40, 1.1, 0.01, nil),
		},
		Notes: []string{"The clock of the host was set between " + hostile + " and bench-003."},
	}
}

func TestHistoryText(t *testing.T) {
	h := kept()
	for name, style := range map[string]render.Text{"history.txt": {}, "history-80.txt": {Width: 80}, "history-colour.txt": {Style: render.Colour}} {
		got := bytesOf(t, func(b *bytes.Buffer) error { return render.HistoryText(b, h, style) })
		golden(t, name, got)
		if style.Style == render.Plain && bytes.ContainsAny(got, "\x1b\r\x07") {
			t.Errorf("%s: a control character got through", name)
		}
	}
	if worse := h.Regressions(); len(worse) != 1 || worse[0].Benchmark != "start.exec" {
		t.Errorf("regressions: %+v", worse)
	}
}

func TestShow(t *testing.T) {
	h := kept()
	golden(t, "show.txt", bytesOf(t, func(b *bytes.Buffer) error { return render.ShowText(b, h, render.Text{}) }))
	golden(t, "show.md", bytesOf(t, func(b *bytes.Buffer) error { return render.ShowMarkdown(b, h) }))
	h.Series = h.Series[1:]
	golden(t, "show-one-host.txt", bytesOf(t, func(b *bytes.Buffer) error { return render.ShowText(b, h, render.Text{Style: render.Colour}) }))
}

// TestShowSVG: it is XML, without script, link or font, and each change is marked.
func TestShowSVG(t *testing.T) {
	got := bytesOf(t, func(b *bytes.Buffer) error { return render.ShowSVG(b, kept()) })
	golden(t, "history.svg", got)
	d := xml.NewDecoder(bytes.NewReader(got))
	elements := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	if elements["polyline"] != 4 || elements["circle"] != 1 || elements["line"] != 4 || elements["script"]+elements["a"]+elements["image"] > 0 {
		t.Errorf("drawn are %v", elements)
	}
	if text := string(got); strings.Contains(text, "http") && strings.Count(text, "http") != strings.Count(text, "http://www.w3.org/2000/svg")+strings.Count(text, "https://evil.example") {
		t.Error("it links to something")
	}
}

// TestShowTellsHostsApart: the kernel is what hosts mostly differ in, and the last of a long line.
func TestShowTellsHostsApart(t *testing.T) {
	old := series("start.exec", "x86_64, 2 CPUs, Linux 6.18", record.Seconds, record.Lower, 1, 9, 1)
	newer := series("start.exec", "x86_64, 2 CPUs, Linux 6.20", record.Seconds, record.Lower, 1, 9, 1)
	got := string(bytesOf(t, func(w *bytes.Buffer) error {
		return render.ShowText(w, render.History{Dir: "h", Runs: 1, Series: []*history.Series{old, newer}}, render.Text{})
	}))
	if !strings.Contains(got, "core at hardened, x86_64, 2 CPUs, Linux 6.18 ") || !strings.Contains(got, "Linux 6.20 ") || !strings.Contains(got, "h: 1 run, 2 series, ") {
		t.Errorf("got\n%s", got)
	}
}

// TestAmountOfAnythingIsShort: a record can claim to have measured anything.
func TestAmountOfAnythingIsShort(t *testing.T) {
	s := series("start.exec", "", record.PerSecond, record.Higher, 1, 9, 1)
	s.Points[0].Median, s.Points[0].Log = 1e300, 600
	got := string(bytesOf(t, func(w *bytes.Buffer) error {
		return render.ShowText(w, render.History{Dir: "h", Runs: 1, Series: []*history.Series{s}}, render.Text{})
	}))
	if !strings.Contains(got, "1e+300/s   3.77e+260 ") {
		t.Errorf("got\n%s", got)
	}
}

func TestNoSeriesIsNoReport(t *testing.T) {
	for _, write := range []func(io.Writer) error{
		func(w io.Writer) error { return render.HistoryText(w, render.History{}, render.Text{}) },
		func(w io.Writer) error { return render.ShowText(w, render.History{}, render.Text{}) },
		func(w io.Writer) error { return render.ShowMarkdown(w, render.History{}) },
		func(w io.Writer) error { return render.ShowSVG(w, render.History{}) },
	} {
		var b bytes.Buffer
		if err := write(&b); err == nil || b.Len() > 0 {
			t.Errorf("got %q, %v", &b, err)
		}
	}
}

// FuzzShow: whatever numbers and names there are, no control character gets through and nothing panics.
func FuzzShow(f *testing.F) {
	f.Add("start.exec", 3, 1e-3, 1.05)
	f.Add(hostile, 1, math.NaN(), math.Inf(1))
	f.Add("", 900, 0.0, -1.0)
	f.Fuzz(func(t *testing.T, name string, n int, level, factor float64) {
		n = min(max(n, 1), 1000)
		s := series(name, name, record.Bytes, record.One, n, n/2, factor)
		s.Points[0].Median, s.Points[0].Log = level, level
		h := render.History{Dir: name, Asked: name, Series: []*history.Series{s}, Notes: []string{name}}
		if n > 3 {
			h.Changes = []*history.Change{changed(s, n/2, factor, 0.01, &history.Ack{Reason: name})}
		}
		for _, write := range []func(*bytes.Buffer) error{
			func(w *bytes.Buffer) error { return render.HistoryText(w, h, render.Text{Width: 80}) },
			func(w *bytes.Buffer) error { return render.ShowText(w, h, render.Text{Width: 80}) },
			func(w *bytes.Buffer) error { return render.ShowMarkdown(w, h) },
			func(w *bytes.Buffer) error { return render.ShowSVG(w, h) },
		} {
			out := bytesOf(t, write)
			if i := slices.IndexFunc(out, func(c byte) bool { return c < ' ' && c != '\n' }); i >= 0 {
				t.Fatalf("a control character in %q", out)
			}
		}
	})
}

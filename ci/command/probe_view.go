package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"cellwall/probes"
	"cellwall/reports/render"
)

// probeView shows what probes see. Its methods but add are safe for concurrent use.
type probeView struct {
	out     io.Writer
	json    bool
	summary bool
	begin   time.Time
	probes  []*opened
	mu      sync.Mutex
	lanes   []*lane
}

// lane is what was seen of one kind in one cgroup, or of one step of a start.
type lane struct {
	probe, name string
	kind        probes.Kind
	spans       []render.Span
	total       time.Duration
	times       uint64
}

// maxSpans is how many events of a lane are kept for the picture; the sums count all.
const maxSpans = 4096

// note keeps an event for the sums and the picture.
func (v *probeView) note(p *opened, e probes.Event) {
	name := p.name(e.Cgroup)
	if e.Kind == probes.Phase {
		name = e.Call
	}
	i := slices.IndexFunc(v.lanes, func(l *lane) bool { return l.probe == p.probe.Name() && l.name == name && l.kind == e.Kind })
	if i < 0 {
		i = len(v.lanes)
		v.lanes = append(v.lanes, &lane{probe: p.probe.Name(), name: name, kind: e.Kind})
	}
	l := v.lanes[i]
	l.times, l.total = l.times+max(e.Count, 1), l.total+e.Length
	if len(l.spans) < maxSpans {
		from := e.At
		if isEnd(e.Kind) {
			from = e.At.Add(-e.Length)
		}
		l.spans = append(l.spans, render.Span{At: from, Length: e.Length, Title: strings.Join(v.words(p, e), ", ")})
	}
}

// isEnd reports whether an event is stamped when its length is over.
func isEnd(k probes.Kind) bool {
	return k == probes.OOMExit || k == probes.OOMReaped || k == probes.OOMReleased
}

// plot draws what was seen.
func (v *probeView) plot(file string, end time.Time) (err error) {
	t := render.Timeline{Title: "What the probes saw", Begin: v.begin, End: end}
	for _, p := range v.probes {
		t.Subtitle += fmt.Sprintf(", %s by %s", p.probe.Name(), p.probe.Rung())
	}
	t.Subtitle = strings.TrimPrefix(t.Subtitle, ", ")
	for _, l := range v.lanes {
		t.Lanes = append(t.Lanes, render.Lane{Name: l.name, Kind: string(l.kind), Spans: l.spans})
	}
	draw := func(w io.Writer, _ render.Report) error { return render.TimelineSVG(w, t) }
	if info, err := os.Stat(file); err != nil || info.Mode().IsRegular() {
		return writeFile(file, render.Report{}, draw)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0) // a pipe, or /dev/stdout, which is not to be replaced
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return draw(f, render.Report{})
}

// attached is the first line of a probe in JSON.
type attached struct {
	Probe string       `json:"probe"`
	Rung  probes.Rung  `json:"attached"`
	Tried []triedBadly `json:"tried,omitempty"`
}

type triedBadly struct {
	Rung   probes.Rung `json:"rung"`
	Reason string      `json:"reason"`
}

// add tells how a probe is attached.
func (v *probeView) add(p *opened) error {
	v.probes = append(v.probes, p)
	a := attached{Probe: p.probe.Name(), Rung: p.probe.Rung()}
	for _, t := range p.probe.Attempts() {
		a.Tried = append(a.Tried, triedBadly{t.Rung, oneLine(t.Err)})
	}
	if v.json {
		return v.line(a)
	}
	text := fmt.Sprintf("%s is attached by %s", a.Probe, a.Rung)
	for i, t := range a.Tried {
		text += map[bool]string{true: "; not by ", false: ", "}[i == 0] + string(t.Rung) + " (" + t.Reason + ")"
	}
	_, err := fmt.Fprintln(v.out, text)
	return err
}

func (v *probeView) line(value any) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return json.NewEncoder(v.out).Encode(value)
}

// told is an event or a total in JSON, with the paths of its cgroups.
type told[T any] struct {
	Probe string `json:"probe"`
	Path  string `json:"path,omitempty"`
	By    string `json:"by_path,omitempty"`
	Is    T      `json:"is"`
}

func (p *opened) name(id uint64) string {
	if p.names == nil || id == 0 {
		return ""
	}
	if name := p.names.Name(id); name != "" {
		return name
	}
	return fmt.Sprintf("cgroup %d", id)
}

// event shows one event, unless only the summary was asked for.
func (v *probeView) event(p *opened, e probes.Event) error {
	v.mu.Lock()
	v.note(p, e) // and name its cgroup while it is there
	v.mu.Unlock()
	if v.summary {
		return nil
	}
	if v.json {
		return v.line(told[probes.Event]{p.probe.Name(), p.name(e.Cgroup), p.name(e.By), e})
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	_, err := fmt.Fprintf(v.out, "%s  %-12s %s\n", e.At.Format("15:04:05.000000"), e.Kind, strings.Join(v.words(p, e), "  "))
	return err
}

// words are what there is to say of an event, in order.
func (v *probeView) words(p *opened, e probes.Event) []string {
	var w []string
	say := func(is bool, format string, args ...any) {
		if is {
			w = append(w, fmt.Sprintf(format, args...))
		}
	}
	say(e.Cgroup != 0, "%s", p.name(e.Cgroup))
	say(e.Call != "", "%s", e.Call)
	say(e.Errno != "", "%s", e.Errno)
	say(e.Count > 0, "%d times", e.Count)
	say(e.Length > 0, "%s", span(e.Length))
	say(e.Pages > 0, "%s", size(e.Pages*uint64(os.Getpagesize())))
	say(e.Pid != 0, "%s[%d]", e.Comm, e.Pid)
	say(e.By != 0 || e.ByPid != 0, "by %s[%d]", p.name(e.By), e.ByPid)
	say(e.Kind == probes.Throttled || e.Kind == probes.Waited, "CPU %d", e.CPU)
	return w
}

// span shows a time in three digits and a unit.
func span(d time.Duration) string {
	switch {
	case d >= 100*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%.3g us", float64(d)/float64(time.Microsecond))
	}
}

// end tells totals and losses.
func (v *probeView) end() error {
	w := tabwriter.NewWriter(v.out, 0, 0, 2, ' ', 0)
	if !v.json {
		fmt.Fprintln(w, "\nprobe\tcgroup or call\ttimes\tin all\thalf above\tlongest\tlengths, from 1 us on, each step twice as long")
	}
	for _, l := range v.lanes {
		if l.kind == probes.Phase && !v.json {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", l.probe, l.name, l.times, span(l.total))
		}
	}
	for _, p := range v.probes {
		totals, err := p.probe.Totals()
		if err != nil {
			return err
		}
		for _, t := range totals {
			if v.json {
				if err := v.line(told[probes.Total]{p.probe.Name(), p.name(t.Cgroup), "", t}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%d", p.probe.Name(), p.name(t.Cgroup), t.Count)
			if t.Length > 0 { // else they are moments
				fmt.Fprintf(w, "\t%s", span(t.Length))
			}
			if t.Length > 0 && t.Buckets != ([probes.Buckets]uint64{}) {
				fmt.Fprintf(w, "\t%s\t%s\t%s", bound(t.Buckets, t.Count/2), bound(t.Buckets, t.Count), heights(t.Buckets))
			}
			fmt.Fprintln(w)
		}
		lost, err := p.probe.Lost()
		if err != nil {
			return err
		}
		if lost != (probes.Lost{}) {
			if err := v.lost(p, lost); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

func (v *probeView) lost(p *opened, lost probes.Lost) error {
	if v.json {
		return v.line(told[probes.Lost]{Probe: p.probe.Name(), Is: lost})
	}
	_, err := fmt.Fprintf(v.out, "%s lost %d events, which totals count, and %d beginnings, which nothing counts\n", p.probe.Name(), lost.Events, lost.States)
	return err
}

// bound is the upper bound of the bucket that holds the length of rank n.
func bound(buckets [probes.Buckets]uint64, n uint64) string {
	var seen uint64
	for i, count := range buckets {
		if seen += count; count > 0 && seen >= n {
			return "<" + span(time.Microsecond<<i)
		}
	}
	return ""
}

// heights draws a histogram in one line, without the empty buckets above.
func heights(buckets [probes.Buckets]uint64) string {
	marks := []rune(" ▁▂▃▄▅▆▇█")
	var most uint64
	last := 0
	for i, n := range buckets {
		if n > 0 {
			most, last = max(most, n), i
		}
	}
	line := make([]rune, 0, len(buckets))
	for _, n := range buckets[:last+1] {
		mark := 0
		if n > 0 {
			mark = 1 + int(n*7/most) // at most 8
		}
		line = append(line, marks[mark])
	}
	return string(line)
}

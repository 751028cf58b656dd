package record

import (
	"errors"
	"fmt"
	"math"
)

// KindInterference is the kind of what one victim felt of one antagonist under one setting.
const KindInterference Kind = "interference"

// Interference is a victim measured alone and beside an antagonist, in turns: histograms, never means. It
// is written behind the run record that its Run names.
type Interference struct {
	Header
	Run           string `json:"run"`
	Victim        string `json:"victim"`
	VictimDoc     string `json:"victim_doc,omitempty"` // completes "An operation ..."
	Antagonist    string `json:"antagonist"`
	AntagonistDoc string `json:"antagonist_doc,omitempty"` // completes "It ..."
	Resource      string `json:"resource"`                 // what the antagonist wants: "cpu", "memory", "tasks", "disk", "network"
	// Setting is the rung at which both were, and by what means besides they were kept apart: "namespaces",
	// "limits", "limits+cpuset". It is unique for a victim and an antagonist in a run.
	Setting string `json:"setting"`
	Rung    string `json:"rung"`
	// Limited reports whether the antagonist had any limit of its own; where not, only the fence held it.
	Limited        bool   `json:"limited"`
	Runtime        string `json:"runtime"`
	RuntimeVersion string `json:"runtime_version"`
	// The limits of their cgroups as they were read back, in words: "cpu 100ms/100ms, memory 256 MiB".
	VictimLimits     string  `json:"victim_limits,omitempty"`
	AntagonistLimits string  `json:"antagonist_limits,omitempty"`
	FenceLimits      string  `json:"fence_limits,omitempty"` // of the group that both are in
	Seed             uint64  `json:"seed"`                   // of the order of the turns
	Warmup           int     `json:"warmup"`                 // turns of each kind before the first block, which are not here
	Window           float64 `json:"window"`                 // seconds in which operations are due, in each turn
	// Unsupported is why there are no blocks: what the kernel, the host or the runtime lacks.
	Unsupported string `json:"unsupported,omitempty"`
	// Unwatched is what no probe could see, each with the reason.
	Unwatched []string `json:"unwatched,omitempty"`
	Blocks    []Duel   `json:"blocks,omitempty"`
	// Causes over all blocks: of the victim alone and beside the antagonist, and of the antagonist.
	AloneCauses      Causes `json:"alone_causes"`
	BesideCauses     Causes `json:"beside_causes"`
	AntagonistCauses Causes `json:"antagonist_causes"`
	// Work is what the antagonist got done over all blocks.
	Work Work `json:"work"`
	// The CPU time in seconds that all others on the host took in the turns of each side, the kernel's own
	// threads among them, and how long these turns were for all CPUs together.
	AloneOthers  Others `json:"alone_others"`
	BesideOthers Others `json:"beside_others"`

	line string // where Read has found it: "FILE:LINE"
}

// Duel is one block of the interleaving: two turns of each side.
type Duel struct {
	Alone  Side `json:"alone"`
	Beside Side `json:"beside"`
}

// Others is the CPU time that somebody else took of what there was, in seconds.
type Others struct {
	CPU float64 `json:"cpu"`
	Of  float64 `json:"of"`
}

// Share is from 0 to 1.
func (o Others) Share() float64 {
	if o.Of <= 0 {
		return 0
	}
	return min(1, o.CPU/o.Of)
}

// Side is what the victim showed in the turns of one block.
type Side struct {
	Latencies Histogram `json:"latencies"`
	Median    float64   `json:"median"`             // seconds, of the raw latencies
	Unserved  int       `json:"unserved,omitempty"` // operations that were not begun in time; their wait until then counts as their latency
	Seconds   float64   `json:"seconds"`            // that the turns took
}

// Histogram counts durations, as package stats writes them: pairs of the shortest duration of a bucket
// and its count, in rising order.
type Histogram struct {
	Unit   string     `json:"unit"` // "ns"
	Digits int        `json:"digits"`
	Counts [][2]int64 `json:"counts"`
}

// Causes is what the probes saw on a cgroup.
type Causes struct {
	Throttled    Stall  `json:"throttled"` // by its CPU limit
	Waited       Stall  `json:"waited"`    // for a CPU, while it could run
	Reclaimed    Stall  `json:"reclaimed"` // to free memory before it got some
	OOMKills     uint64 `json:"oom_kills"`
	RefusedForks uint64 `json:"refused_forks"`
	// Of the longer waits for a CPU, the seconds by who had it.
	WaitedFor WaitedFor `json:"waited_for"`
	CPU       float64   `json:"cpu"` // seconds that it got
}

// Stall is how often, and for how many seconds in all.
type Stall struct {
	Count   uint64  `json:"count"`
	Seconds float64 `json:"seconds"`
}

// WaitedFor is seconds of waiting by who had the CPU.
type WaitedFor struct {
	Antagonist float64 `json:"antagonist"`
	Victim     float64 `json:"victim"`
	Others     float64 `json:"others"`
}

// Work is what an antagonist's workers did.
type Work struct {
	Operations int64 `json:"operations"`
	Refused    int64 `json:"refused"`
	Killed     int64 `json:"killed"`
}

// Where is the place that the record was read from, as "FILE:LINE"; empty if it was not.
func (i *Interference) Where() string { return i.line }

// Count is the number of durations.
func (h *Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c[1]
	}
	return n
}

func (h *Histogram) check() error {
	const most, digits = int64(3600 * 1e9), 3 // an hour, as in package stats
	if h.Unit != "ns" || h.Digits != digits {
		return fmt.Errorf("a histogram in %.20q to %d digits: only \"ns\" to %d digits is known", h.Unit, h.Digits, digits)
	}
	last, sum := int64(-1), int64(0)
	for _, c := range h.Counts {
		switch {
		case c[0] <= last || c[0] > most:
			return fmt.Errorf("a histogram with %d ns behind %d ns: they rise, up to an hour", c[0], last)
		case c[1] < 1 || c[1] > math.MaxInt64-sum:
			return fmt.Errorf("a histogram with a count of %d", c[1])
		}
		last, sum = c[0], sum+c[1]
	}
	if sum == 0 {
		return errors.New("a histogram of nothing")
	}
	return nil
}

func (s *Side) check() error {
	switch {
	case !finite(s.Median) || s.Median <= 0:
		return fmt.Errorf("a median of %g s", s.Median)
	case !finite(s.Seconds) || s.Seconds <= 0:
		return fmt.Errorf("turns of %g s", s.Seconds)
	case s.Unserved < 0:
		return fmt.Errorf("%d operations that were not served", s.Unserved)
	}
	return s.Latencies.check()
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (c *Causes) check() error {
	for _, x := range []float64{
		c.Throttled.Seconds, c.Waited.Seconds, c.Reclaimed.Seconds, c.WaitedFor.Antagonist, c.WaitedFor.Victim, c.WaitedFor.Others, c.CPU,
	} {
		if !finite(x) || x < 0 {
			return fmt.Errorf("a cause of %g s", x)
		}
	}
	return nil
}

func (i *Interference) check() error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("interference of %.40q with %.40q at %.40q: %w", i.Antagonist, i.Victim, i.Setting, fmt.Errorf(format, args...))
	}
	switch {
	case i.Run == "":
		return fault("it names no run")
	case i.Victim == "" || i.Antagonist == "" || i.Setting == "" || i.Resource == "":
		return fault("it has to name a victim, an antagonist, a resource and a setting")
	case i.Unsupported == "" && len(i.Blocks) == 0:
		return fault("it has neither blocks nor a reason for that")
	case i.Unsupported != "" && len(i.Blocks) > 0:
		return fault("it is unsupported and has blocks all the same")
	case !finite(i.Window) || i.Window < 0 || i.Warmup < 0:
		return fault("a window of %g s, a warm-up of %d turns", i.Window, i.Warmup)
	}
	for n := range i.Blocks {
		for _, s := range []*Side{&i.Blocks[n].Alone, &i.Blocks[n].Beside} {
			if err := s.check(); err != nil {
				return fault("block %d: %w", n, err)
			}
		}
	}
	for _, c := range []*Causes{&i.AloneCauses, &i.BesideCauses, &i.AntagonistCauses} {
		if err := c.check(); err != nil {
			return fault("%w", err)
		}
	}
	for _, o := range []Others{i.AloneOthers, i.BesideOthers} {
		if !finite(o.CPU) || !finite(o.Of) || o.CPU < 0 || o.Of < 0 {
			return fault("others took %g s of %g s", o.CPU, o.Of)
		}
	}
	if i.Work.Operations < 0 || i.Work.Refused < 0 || i.Work.Killed < 0 {
		return fault("the antagonist did %d operations, %d were refused, %d workers killed", i.Work.Operations, i.Work.Refused, i.Work.Killed)
	}
	return nil
}

// Interference writes an interference record.
func (w *Writer) Interference(i Interference) error {
	i.Header = Header{Schema: Schema, Kind: KindInterference}
	i.Unsupported = Clean(i.Unsupported, MaxText)
	i.Unwatched = cleanLeaks(i.Unwatched)
	if err := i.check(); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return w.write(i)
}

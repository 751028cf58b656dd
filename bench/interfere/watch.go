package interfere

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cellwall/probes"
	"cellwall/reports/record"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
)

// slow is the shortest wait for a CPU of which we ask who had it. Shorter ones are counted all the same.
const slow = 500 * time.Microsecond

// waits is the probe of waits for a CPU.
const waits = "runq"

// watched are the probes, in the order in which they are opened.
func watched() []string { return []string{"throttle", waits, "reclaim", "oom", "pids"} }

// watch is the probes on the containers of a pair, under all settings.
type watch struct {
	probes  map[string]*probes.Probe
	lacks   []string
	guests  []*guest
	victims map[uint64]bool // ids of the groups of the cpu controller: true is a victim's
	undo    cleanup.Stack
}

func newWatch(duels []*duel) (_ *watch, err error) {
	w := &watch{probes: map[string]*probes.Probe{}, victims: map[uint64]bool{}}
	defer w.undo.OnError(&err)
	for _, d := range duels {
		for _, g := range []*guest{d.victim, d.antagonist} {
			w.guests = append(w.guests, g)
			if dir := g.group.Path("cpu"); dir != "" {
				id, err := probes.CgroupID(dir)
				if err != nil {
					return nil, err
				}
				w.victims[id] = g == d.victim
			}
		}
	}
	for _, name := range watched() {
		_, controller, err := probes.Describe(name)
		if err != nil {
			return nil, err
		}
		// Events are of use where they say for whom a victim waited; all else is in the totals. That an
		// antagonist waits is of no interest, and there would be many events.
		o := probes.Options{Slow: slow, Totals: name != waits}
		for i, g := range w.guests {
			if name == waits && g != duels[i/2].victim {
				continue
			}
			if dir := g.group.Path(controller); dir != "" {
				o.Cgroups = append(o.Cgroups, dir)
			}
		}
		if len(o.Cgroups) == 0 {
			w.lacks = append(w.lacks, fmt.Sprintf("%s: there is no %s controller", name, controller))
			continue
		}
		p, err := probes.Open(name, o)
		if errors.Is(err, kernel.ErrNotSupported) {
			w.lacks = append(w.lacks, err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		w.undo.Push("close probe "+name, p.Close)
		w.probes[name] = p
	}
	return w, nil
}

func (w *watch) close() error { return w.undo.Close() }

// drain reads the events so far and returns the waits of a guest by who had the CPU.
func (w *watch) drain(ctx context.Context, of *guest) (record.WaitedFor, error) {
	var sum record.WaitedFor
	p := w.probes[waits]
	if p == nil {
		return sum, nil
	}
	id, err := probes.CgroupID(of.group.Path("cpu"))
	if err != nil {
		return sum, err
	}
	over, stop := context.WithCancel(ctx)
	stop() // what is there, and no more
	for e, err := range p.Events(over) {
		if err != nil {
			return sum, err
		}
		if e.Watched != id {
			continue
		}
		switch victim, ours := w.victims[e.By]; {
		case ours && victim:
			sum.Victim += e.Length.Seconds()
		case ours:
			sum.Antagonist += e.Length.Seconds()
		default:
			sum.Others += e.Length.Seconds()
		}
	}
	return sum, nil
}

// seen is what was seen of a guest since it was watched.
func (w *watch) seen(g *guest, victim bool) (record.Causes, error) {
	var c record.Causes
	for name, p := range w.probes {
		if name == waits && !victim {
			continue
		}
		_, controller, err := probes.Describe(name)
		if err != nil {
			return c, err
		}
		t, err := p.Total(g.group.Path(controller))
		if err != nil {
			return c, err
		}
		stall := record.Stall{Count: t.Count, Seconds: t.Length.Seconds()}
		switch name {
		case "throttle":
			c.Throttled = stall
		case waits:
			c.Waited = stall
		case "reclaim":
			c.Reclaimed = stall
		case "oom":
			c.OOMKills = t.Count
		case "pids":
			c.RefusedForks = t.Count
		}
	}
	s, err := g.group.Stat()
	if err != nil {
		return c, err
	}
	c.CPU = (time.Duration(s.CPU.UsageUsec) * time.Microsecond).Seconds() // at most some years
	return c, nil
}

// add adds to sum what lies between two states.
func add(sum *record.Causes, before, after record.Causes, waits record.WaitedFor) {
	for _, s := range []struct {
		to           *record.Stall
		from, before record.Stall
	}{
		{&sum.Throttled, after.Throttled, before.Throttled},
		{&sum.Waited, after.Waited, before.Waited},
		{&sum.Reclaimed, after.Reclaimed, before.Reclaimed},
	} {
		s.to.Count += s.from.Count - s.before.Count
		s.to.Seconds += max(0, s.from.Seconds-s.before.Seconds)
	}
	sum.OOMKills += after.OOMKills - before.OOMKills
	sum.RefusedForks += after.RefusedForks - before.RefusedForks
	sum.CPU += max(0, after.CPU-before.CPU)
	sum.WaitedFor.Antagonist += waits.Antagonist
	sum.WaitedFor.Victim += waits.Victim
	sum.WaitedFor.Others += waits.Others
}

// lost names the probes that could not count everything.
func (w *watch) lost() ([]string, error) {
	lacks := slices.Clone(w.lacks)
	for _, name := range watched() {
		p := w.probes[name]
		if p == nil {
			continue
		}
		l, err := p.Lost()
		if err != nil {
			return nil, err
		}
		if l.States > 0 {
			lacks = append(lacks, fmt.Sprintf("%s: %d beginnings were lost", name, l.States))
		}
		if l.Events > 0 {
			lacks = append(lacks, fmt.Sprintf("%s: %d single events were lost, so that for whom somebody waited is not all there; totals are", name, l.Events))
		}
	}
	return lacks, nil
}

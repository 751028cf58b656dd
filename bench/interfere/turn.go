package interfere

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cellwall/bench/load"
	"cellwall/reports/record"
)

// turn is one time that a victim is measured.
type turn struct {
	duel   int
	beside bool // the antagonist is at work
}

// order is that of the turns of one block: the settings in a random order, in each the victim alone and
// beside the antagonist, next to each other, in a random order; and all of that backwards, so that a drift
// of the host hits all alike.
func order(random *rand.Rand, duels int) []turn {
	var turns []turn
	for _, i := range random.Perm(duels) {
		first := random.IntN(2) == 0
		turns = append(turns, turn{i, first}, turn{i, !first})
	}
	for _, t := range slices.Backward(slices.Clone(turns)) {
		turns = append(turns, t)
	}
	return turns
}

// settled is what passes before a turn, so that what the one before has left is done: a moment, and where
// there is a link, twice the time in which the queues at its ends run empty.
func settled(a Antagonist) time.Duration {
	const moment = 10 * time.Millisecond
	if !a.needs.link {
		return moment
	}
	return moment + 2*linkQueue*time.Second/shapedRate
}

// turn takes a turn. Where side is nil it does not count.
func (r *round) turn(ctx context.Context, t turn, side *side) (err error) {
	d, rec := r.duels[t.duel], r.tally[t.duel]
	// The slowest: all operations of the window, and a last one that hangs, then the workers' end.
	ctx, cancel := context.WithTimeout(ctx, lasts(r.plan.Window)+time.Minute)
	defer cancel()
	if err := pause(ctx, settled(r.pair.Antagonist)); err != nil {
		return err
	}
	if t.beside {
		if _, err := d.antagonist.Ask(ctx, load.Request{N: 1}); err != nil {
			return fmt.Errorf("at %s: start the antagonist: %w", d.setting.Name(), err)
		}
	}
	before, err := r.look(ctx, d)
	if err != nil {
		return err
	}
	a, err := d.victim.Ask(ctx, load.Request{Delay: r.plan.Window})
	if err != nil {
		return fmt.Errorf("at %s: the victim: %w", d.setting.Name(), err)
	}
	after, err := r.look(ctx, d)
	if err != nil {
		return err
	}
	var work load.Reply
	if t.beside {
		if work, err = d.antagonist.Ask(ctx, load.Request{}); err != nil {
			return fmt.Errorf("at %s: stop the antagonist: %w", d.setting.Name(), err)
		}
	}
	if side == nil {
		return nil
	}
	side.add(a)
	others := &rec.AloneOthers
	if t.beside {
		others = &rec.BesideOthers
	}
	others.CPU += after.others - before.others // it counts in ticks of 10 ms: less than nothing in one turn is made up for in another
	others.Of += after.whole - before.whole
	if !t.beside {
		add(&rec.AloneCauses, before.victim, after.victim, after.waits)
		return nil
	}
	add(&rec.BesideCauses, before.victim, after.victim, after.waits)
	add(&rec.AntagonistCauses, before.antagonist, after.antagonist, record.WaitedFor{})
	rec.Work.Operations += work.Operations
	rec.Work.Refused += work.Refused
	rec.Work.Killed += work.Killed
	return nil
}

// looks is what the probes have seen of a duel so far.
type looks struct {
	victim, antagonist record.Causes
	waits              record.WaitedFor // of the victim since the last look
	// CPU time in seconds: what was used outside of our groups, and all that there was.
	others, whole float64
}

func (r *round) look(ctx context.Context, d *duel) (l looks, err error) {
	if l.waits, err = r.watch.drain(ctx, d.victim); err != nil {
		return l, err
	}
	if l.victim, err = r.watch.seen(d.victim, true); err != nil {
		return l, err
	}
	if l.antagonist, err = r.watch.seen(d.antagonist, false); err != nil {
		return l, err
	}
	l.others, l.whole, err = r.host.others()
	return l, err
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

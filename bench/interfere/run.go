package interfere

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cellwall/reports/record"
	"cellwall/runtime/kernel"
)

// Plan is what a run measures.
type Plan struct {
	Pairs []Pair
	// Settings are those of a pair.
	Settings func(Pair) []Setting
	// Blocks is how many blocks each pair has, of two turns of each side; where it is 0 the pairs share For
	// equally. Each has LeastBlocks at least.
	Blocks int
	For    time.Duration
	// Window is the time in which the victim's operations are due, in each turn.
	Window time.Duration
	// Seed makes the order of the turns. Each pair has one of its own, made of it and of its name.
	Seed uint64
	// Tell is told how far the run is; nil tells nobody.
	Tell func(Step)
}

// LeastBlocks is the number with which a ratio has an interval at all: stats.Compare at 95 %.
const LeastBlocks = 6

// Step is how far a run is.
type Step struct {
	Pair   string
	At, Of int     // the pair's number, from 1, and how many there are
	Share  float64 // of the whole run that is behind, from 0 to 1, as far as can be told
}

// warmup is how many turns of each side under each setting come first and do not count.
const warmup = 1

// Run measures a plan and returns a record for each pair and setting, with name as their run. A pair that
// fails is left out and named in the error; the others go on.
func (h *Host) Run(ctx context.Context, name string, p Plan) (all []record.Interference, err error) {
	if p.Tell == nil {
		p.Tell = func(Step) {}
	}
	for i, pair := range p.Pairs {
		r := &round{host: h, plan: &p, pair: pair, name: pair.Antagonist.Name + " with " + pair.Victim.Name, at: i}
		r.tell(0)
		done, failed := r.run(ctx, name)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.name, failed))
		}
		if ctx.Err() != nil {
			return all, err
		}
		all = append(all, done...)
	}
	return all, err
}

// round is one pair at work.
type round struct {
	host *Host
	plan *Plan
	pair Pair
	name string
	at   int // the pair's number, from 0

	watch *watch
	duels []*duel
	tally []*record.Interference // beside duels
}

func (r *round) tell(share float64) {
	n := len(r.plan.Pairs)
	r.plan.Tell(Step{Pair: r.name, At: r.at + 1, Of: n, Share: (float64(r.at) + share) / float64(n)})
}

// run measures the pair under all its settings, in turns.
func (r *round) run(ctx context.Context, name string) (all []record.Interference, err error) {
	if err := r.host.checkFence(); err != nil {
		return nil, err
	}
	records := make([]*record.Interference, 0, len(r.plan.Settings(r.pair)))
	defer func() {
		for _, d := range slices.Backward(r.duels) {
			err = errors.Join(err, d.undo.Close())
		}
	}()
	for _, s := range r.plan.Settings(r.pair) {
		rec := r.record(name, s)
		records = append(records, rec)
		d, err := r.host.newDuel(ctx, r.pair, s, r.plan.Window)
		switch {
		case errors.Is(err, kernel.ErrNotSupported):
			rec.Unsupported = err.Error()
			continue
		case err != nil:
			return nil, fmt.Errorf("at %s: %w", s.Name(), err)
		}
		rec.VictimLimits, rec.AntagonistLimits = d.victim.limits, d.antagonist.limits
		r.duels, r.tally = append(r.duels, d), append(r.tally, rec)
	}
	if len(r.duels) > 0 {
		if err := r.measure(ctx); err != nil {
			return nil, err
		}
	}
	for _, rec := range records {
		all = append(all, *rec)
	}
	return all, nil
}

// record is the record of a setting, still without blocks.
func (r *round) record(name string, s Setting) *record.Interference {
	v, a := r.pair.Victim, r.pair.Antagonist
	return &record.Interference{
		Run: name, Victim: v.Name, VictimDoc: v.Doc, Antagonist: a.Name, AntagonistDoc: a.Doc, Resource: string(a.Resource),
		Setting: s.Name(), Rung: string(s.Rung), Limited: s.limited(), Runtime: r.host.Runtime.Name(), RuntimeVersion: r.host.Version,
		FenceLimits: fmt.Sprintf("memory %d MiB, tasks %d", fenceMemory/mib, fenceTasks),
		Seed:        seedOf(r.plan.Seed, r.name), Warmup: warmup, Window: r.plan.Window.Seconds(),
	}
}

func (r *round) measure(ctx context.Context) (err error) {
	if r.watch, err = newWatch(r.duels); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.watch.close()) }()
	random := rand.New(rand.NewPCG(seedOf(r.plan.Seed, r.name), 0)) // an order, no secret
	for range warmup {
		for i := range r.duels {
			for _, beside := range []bool{false, true} {
				if err := r.turn(ctx, turn{i, beside}, nil); err != nil {
					return err
				}
			}
		}
	}
	begun := time.Now()
	share := r.plan.For / time.Duration(len(r.plan.Pairs))
	for block := 0; !r.enough(block, time.Since(begun), share); block++ {
		sides := make([]sides, len(r.duels))
		for _, t := range order(random, len(r.duels)) {
			side := &sides[t.duel].alone
			if t.beside {
				side = &sides[t.duel].beside
			}
			if err := r.turn(ctx, t, side); err != nil {
				return err
			}
		}
		for i, rec := range r.tally {
			d, err := sides[i].record()
			if err != nil {
				return err
			}
			rec.Blocks = append(rec.Blocks, d)
		}
		if r.plan.Blocks > 0 {
			r.tell(float64(block+1) / float64(r.plan.Blocks))
		} else {
			r.tell(min(1, time.Since(begun).Seconds()/share.Seconds()))
		}
	}
	lacks, err := r.watch.lost()
	for _, rec := range r.tally {
		rec.Unwatched = lacks
		rec.AloneOthers.CPU, rec.BesideOthers.CPU = max(0, rec.AloneOthers.CPU), max(0, rec.BesideOthers.CPU)
	}
	return err
}

// enough is fixed beforehand: it does not depend on what was measured.
func (r *round) enough(blocks int, spent, share time.Duration) bool {
	if blocks < LeastBlocks {
		return false
	}
	if r.plan.Blocks > 0 {
		return blocks >= r.plan.Blocks
	}
	return spent >= share
}

// seedOf is the seed of a pair.
func seedOf(seed uint64, pair string) uint64 {
	// FNV-1a, so that a pair has the same order whatever else is measured.
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, c := range []byte(pair) {
		h = (h ^ uint64(c)) * prime
	}
	return h ^ seed
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// Limits of the baits and how far the attacks go, in bytes. lineLimit is that of the article in
// which this began: 80 MB against `yes | tr \\n x | head -c 1048576000 | grep n`. An attack wants
// only a quarter more than its limit: it is not killed by one that is larger than that.
const (
	lineLimit = 83886080
	lineBound = lineLimit + lineLimit/4
	lineMost  = lineLimit + lineLimit/8 // the kernel lets a dying process go beyond its limit
	hogLimit  = 32 << 20
	hogBound  = hogLimit + hogLimit/4
	highMost  = hogLimit + hogLimit/2 // what is above a high mark is slow, not refused
	highBound = 4 * hogLimit
	swapLimit = 8 << 20
	swapBound = hogLimit + swapLimit + swapLimit/4
)

func memoryLimit(n int64) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &n, Swap: &n} }
}

// killsAtLimit says why no cgroup is killed at its limit of memory here, by what the gates of swap answer.
func killsAtLimit(swap, accounting error) error {
	if swap == nil && errors.Is(accounting, kernel.ErrNotSupported) {
		return kernel.Unsupported("a kill at the limit of memory: what is above it goes to the host's swap, which is counted to no cgroup: %s", kernel.SwapAccounting.Remedy)
	}
	return nil
}

// grown keeps what the attacker's cgroup used at the moment when its memory had grown.
type grown struct {
	stat   cgroup.Stat
	events cgroup.Events
	seen   bool
}

func (g *grown) hold(_ context.Context, _ string, a *Subject) (err error) {
	g.seen = true
	if g.stat, err = a.Group.Stat(); err != nil {
		return err
	}
	g.events, err = a.Group.Events()
	return err
}

// KilledInside looks whether the attacker's cgroup grew beyond its limit, whether the kernel
// killed there, and whether it killed anywhere else: not a process of the host, and not one in a
// sibling cgroup.
func KilledInside(s *Stage) (*Watch, error) {
	if err := killsAtLimit(kernel.Swap.Check(), kernel.SwapAccounting.Check()); err != nil {
		return nil, err
	}
	host, err := s.Process()
	if err != nil {
		return nil, err
	}
	group, err := s.group(s.Fence, "sibling", cgroup.Limits{}) // first, so that it is removed last
	if err != nil {
		return nil, err
	}
	sibling, err := s.Process()
	if err != nil {
		return nil, err
	}
	if err := group.Add(sibling.PID()); err != nil {
		return nil, err
	}
	var g grown
	probe := s.second("oom")
	w := &Watch{Edits: s.limited(memoryLimit(lineLimit)), Target: attack.Target{Bytes: lineBound}, Hold: g.hold}
	look := func(a *Subject) (Finding, error) {
		// What was killed is gone by now. A kernel without a peak still shows who was not killed.
		most := max(g.stat.Memory.Current, g.stat.Memory.Peak)
		f := Finding{
			Breached: most > lineMost,
			Evidence: fmt.Sprintf("with a limit of %d bytes the cgroup held %d at the most (%d is a breach); oom_kill is %d", lineLimit, most, lineMost, g.events.Memory.OOMKill),
		}
		for name, p := range map[string]*Process{"host": host, "sibling": sibling} {
			n, err := p.Signals()
			if err != nil {
				return f, err
			}
			if n > 0 {
				return Finding{Breached: true, Evidence: f.Evidence + "; a process of the " + name + " was killed"}, nil
			}
		}
		if !f.Breached && g.events.Memory.OOMKill == 0 {
			return f, errors.New("the attacker did not get to the limit: oom_kill is 0")
		}
		if f.Breached {
			return f, nil
		}
		events, err := a.Group.Events()
		if err != nil {
			return f, err
		}
		said, err := probe.says(a.Group, events.Memory.OOMKill, 0)
		f.Evidence += "; " + said
		return f, err
	}
	w.Look = func(_ context.Context, a *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "touch"); err != nil {
			return Finding{}, err
		}
		return look(a)
	}
	// The kernel takes another process too where the first one's memory comes free too late.
	w.Killed = func(ctx context.Context, a *Subject) (Finding, error) {
		if err := g.hold(ctx, "killed", a); err != nil {
			return Finding{}, err
		}
		return look(a)
	}
	return w, nil
}

// SwapBounded reads how much swap the attacker's cgroup uses, once its memory has been touched
// often enough to be swapped.
func SwapBounded(s *Stage) (*Watch, error) {
	var g grown
	w := &Watch{Target: attack.Target{Bytes: swapBound, Count: 4}, Hold: g.hold}
	w.Edits = s.limited(func(sp *specs.Spec) {
		limit, sum := int64(hogLimit), int64(hogLimit+swapLimit)
		sp.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit, Swap: &sum}
	})
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "touch"); err != nil {
			return Finding{}, err
		}
		f := Finding{
			Breached: g.stat.Memory.SwapCurrent > swapLimit,
			Evidence: fmt.Sprintf("with a limit of %d bytes of swap the cgroup used %d; oom_kill is %d", swapLimit, g.stat.Memory.SwapCurrent, g.events.Memory.OOMKill),
		}
		if g.events.Memory.OOMKill == 0 && g.stat.Memory.Current > hogLimit {
			f.Breached = true // nothing limits memory either
		}
		if !f.Breached && g.events.Memory.OOMKill == 0 {
			return f, errors.New("the attacker did not get to the limit: oom_kill is 0")
		}
		return f, nil
	}
	return w, nil
}

// Throttled looks whether the attacker's cgroup was slowed down above its high mark, and not
// killed: it has not reached what it wanted when its time is up.
func Throttled(s *Stage) (*Watch, error) {
	var g grown
	w := &Watch{
		Target: attack.Target{Bytes: highBound, For: 300 * time.Millisecond},
		Hold:   g.hold,
		Edits: s.limited(func(sp *specs.Spec) {
			unified(sp, map[string]string{"memory.high": fmt.Sprint(hogLimit)})
		}),
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "touch"); err != nil {
			return Finding{}, err
		}
		if slices.Contains(g.events.Lacks, "memory.events high") {
			return Finding{}, kernel.Unsupported("memory.high: this cgroup has no memory.events high")
		}
		e := g.events.Memory
		f := Finding{
			Breached: g.stat.Memory.Current > highMost || e.OOMKill > 0,
			Evidence: fmt.Sprintf("above a high mark of %d bytes the cgroup grew to %d of %d (%d is a breach); high is %d, oom_kill %d", hogLimit, g.stat.Memory.Current, w.Target.Bytes, highMost, e.High, e.OOMKill),
		}
		if !f.Breached && e.High == 0 {
			return f, errors.New("the attacker did not get to the high mark: memory.events high is 0")
		}
		return f, nil
	}
	return w, nil
}

const siblings = 3

// KilledTogether looks whether anything is left of a cgroup that is to be killed as a whole.
func KilledTogether(s *Stage) (*Watch, error) {
	if err := killsAtLimit(kernel.Swap.Check(), kernel.SwapAccounting.Check()); err != nil {
		return nil, err
	}
	var g grown
	var group *Subject
	w := &Watch{Target: attack.Target{Bytes: hogBound, Count: siblings}, Hold: g.hold}
	w.Edits = s.limited(func(sp *specs.Spec) {
		memoryLimit(hogLimit)(sp)
		unified(sp, map[string]string{"memory.oom.group": "1"})
	})
	w.Ready = func(_ context.Context, a *Subject) error { group = a; return nil }
	look := func(lives bool) (Finding, error) {
		e, err := group.Group.Events()
		if err != nil {
			return Finding{}, err
		}
		procs, err := listed(group.Group.Path("memory"))
		if err != nil {
			return Finding{}, err
		}
		f := Finding{
			Breached: e.Memory.OOMKill > 0 && (lives || len(procs) > 0),
			Evidence: fmt.Sprintf("oom_kill is %d, and %d processes live on", e.Memory.OOMKill, len(procs)),
		}
		switch {
		case e.Memory.OOMKill == 0 && g.stat.Memory.Current > hogLimit:
			f.Breached = true
			f.Evidence = fmt.Sprintf("nothing was killed at %d bytes", g.stat.Memory.Current)
		case e.Memory.OOMKill == 0:
			return f, errors.New("the attacker did not get to the limit: oom_kill is 0")
		}
		return f, nil
	}
	w.Look = func(context.Context, *Subject, attack.Record) (Finding, error) { return look(true) }
	w.Killed = func(context.Context, *Subject) (Finding, error) { return look(false) }
	return w, nil
}

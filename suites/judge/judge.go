// Package judge says whether a guarantee holds: it runs the control, the attack on the barrier
// alone and the attack on the real spec, and lets the witness decide.
//
// It prints nothing and knows no runtime but through package driver. What it concludes is a
// record.Verdict.
package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/claim"
	"cellwall/suites/guarantee"
)

// Judge tries guarantees on one runtime. It is not safe for concurrent use: a leak could not be
// told from another trial's object.
type Judge struct {
	*Run
	Runtime driver.Runtime
	// Asked is how the user named it, where that is more than its name: with the path of its program.
	Asked string
	// Version is the runtime's own word on its version.
	Version string
	// Strict judges take no exception from what the catalogue claims.
	Strict bool
}

// Check tries one guarantee on the runtime at a rung. A canceled context gives an inconclusive
// verdict, as everything does that is our own failure.
func (j *Judge) Check(ctx context.Context, g *guarantee.Guarantee, rung spec.Rung) record.Verdict {
	start := time.Now()
	v := record.Verdict{
		Run: j.Name, Guarantee: g.ID, Group: g.Group(), Claim: g.Claim,
		Runtime: j.Runtime.Name(), RuntimeVersion: j.Version, Rung: string(rung),
		Claimed: rung.Covers(g.Rung),
		Again:   fmt.Sprintf("cellwall verify --runtime %s --rung %s --only %s -v", cmp.Or(j.Asked, j.Runtime.Name()), rung, g.ID),
	}
	if g.Kept != guarantee.ByHarness || j.Runtime.Name() != driver.CoreName { // that one is part of the harness
		v.KeptBy = string(g.Kept)
	}
	e := claim.Of(j.Runtime, j.Version, g.ID, rung)
	switch {
	case e == nil || !v.Claimed:
	case e.Untried: // by a strict judge neither
		v.Claimed, v.Outcome, v.Reason = false, record.Unsupported, fmt.Sprintf("%s (%s)", e.Reason, e.Source)
		return v
	case !j.Strict:
		v.Claimed = e.Known
		v.Exception = &record.Exception{Known: e.Known, Reason: e.Reason, Source: e.Source, Advice: e.Advice}
	}
	j.decide(ctx, g, rung, &v)
	if v.Exception != nil && v.Exception.Known {
		known(&v, e)
	}
	v.Duration = time.Since(start)
	return v
}

// known holds a verdict against the entry that says that the row fails.
func known(v *record.Verdict, e *claim.Exception) {
	switch {
	case v.Outcome == record.Breached && !strings.Contains(v.Evidence, e.Evidence):
		v.Exception = nil
		v.Reason = strings.TrimPrefix(v.Reason+"; it is known to fail, but not in this way", "; ")
	case v.Outcome != record.Held:
	case len(e.Fixed) > 0:
		v.Exception = nil // the fix is in a version that does not tell: distributions do that
	default:
		v.Outcome, v.Reason = record.Inconclusive, "it is known to fail and has held: the entry in its claims is stale"
	}
}

// decide fills in the outcome: gates first, then all trials, then what was left behind.
func (j *Judge) decide(ctx context.Context, g *guarantee.Guarantee, rung spec.Rung, v *record.Verdict) {
	if outcome, reason := j.gates(g); outcome != "" {
		v.Outcome, v.Reason = outcome, reason
		return
	}
	if err := j.attach(g.Probes); err != nil {
		v.Outcome, v.Reason = record.Inconclusive, err.Error()
		return
	}
	before, err := j.census()
	if err != nil {
		v.Outcome, v.Reason = record.Inconclusive, err.Error()
		return
	}
	tries := []try{{j.Runtime, trial{guarantee: g, rung: rung}}}
	var alone, controls []try
	if v.Claimed {
		alone, controls = j.proof(g)
	}
	tries = slices.Concat(tries, alone, controls)
	results := j.tryAll(ctx, tries, !g.Alone)
	conclude(v, results, len(alone))
	if v.Outcome == record.Inconclusive && g.Alone && ctx.Err() == nil {
		// What has to run alone is disturbed by what else the host does, for a moment perhaps. A breach is never
		// tried again.
		first := v.Reason
		results = j.tryAll(ctx, tries, false)
		conclude(v, results, len(alone))
		v.Retried = first
	}
	v.Leaks = j.leaks(before)
	if j.strange(v.Leaks) && !j.leavesAgain(ctx, tries, !g.Alone, results) {
		v.Leaks = nil
	}
	if len(v.Leaks) > 0 && v.Outcome == record.Held {
		v.Outcome, v.Reason = record.Inconclusive, "something was left on the host: "+strings.Join(v.Leaks, "; ")
	}
}

// gates asks what the guarantee needs. The empty outcome means that all is there.
func (j *Judge) gates(g *guarantee.Guarantee) (record.Outcome, string) {
	for _, f := range g.Gates {
		if err := f.Check(); errors.Is(err, kernel.ErrNotSupported) {
			return record.Unsupported, err.Error()
		} else if err != nil {
			return record.Inconclusive, err.Error()
		}
	}
	if len(g.Controllers) > 0 {
		if err := j.Tree.Require(g.Controllers...); errors.Is(err, kernel.ErrNotSupported) {
			return record.Unsupported, err.Error()
		} else if err != nil {
			return record.Inconclusive, err.Error()
		}
	}
	return "", ""
}

// try is a trial and the runtime that makes its container.
type try struct {
	runtime driver.Runtime
	trial   trial
}

// proof is the attack on the barrier alone, and the controls, which differ from it in one edit. A
// runtime that cannot set a barrier alone is spared that trial: its own container and the controls
// on the core have to say enough. So is a sandbox, in which none is alone.
func (j *Judge) proof(g *guarantee.Guarantee) (alone, controls []try) {
	sandboxed := driver.Sandboxed(j.Runtime)
	own := j.both(g)
	if !sandboxed && j.expresses(g, own, nil) {
		alone = []try{{j.Runtime, trial{guarantee: g, rung: base(j.Runtime, g), both: own}}}
	}
	for i := range g.Controls {
		edit, rt := &g.Controls[i], j.Runtime
		if edit.OnCore || sandboxed || len(own) < len(g.Both) || !j.expresses(g, own, edit) {
			rt = j.Core
		}
		controls = append(controls, try{rt, trial{guarantee: g, rung: base(rt, g), both: g.Both, edit: edit}})
	}
	return alone, controls
}

// both is what a row's control and its counterpart are to have in common on the runtime. Where that leaves
// another barrier beside the one, controls run on the core.
func (j *Judge) both(g *guarantee.Guarantee) spec.Edits {
	if j.Runtime == j.Core {
		return g.Both
	}
	return slices.DeleteFunc(slices.Clone(g.Both), func(e spec.Edit) bool { return e.OnCore })
}

// expresses reports whether the runtime can make the container of a row's proof.
func (j *Judge) expresses(g *guarantee.Guarantee, both spec.Edits, control *spec.Edit) bool {
	edits := slices.Concat(j.Runtime.Lacks(), both)
	if control != nil {
		edits = append(edits, *control)
	}
	s, omit := j.spec(base(j.Runtime, g), j.Dir, edits)
	// Any other error is for the trial to report.
	return !errors.Is(j.Runtime.Expresses(driver.Bundle{Spec: s, Omit: omit, Parent: j.Fence}), kernel.ErrNotSupported)
}

// base is the rung at which a barrier has the least beside it that a runtime can make.
func base(rt driver.Runtime, g *guarantee.Guarantee) spec.Rung {
	rung := g.Rung
	if rung == spec.Runtime {
		rung = spec.Namespaces
	}
	if floor := rt.Floor(); !rung.Covers(floor) {
		return floor
	}
	return rung
}

// tryAll runs trials, side by side where they cannot disturb each other: each has a stage and
// baits of its own.
func (j *Judge) tryAll(ctx context.Context, tries []try, together bool) []record.Trial {
	results := make([]record.Trial, len(tries))
	var wait sync.WaitGroup
	for i, t := range tries {
		if !together {
			results[i] = j.trial(ctx, t.runtime, t.trial)
			continue
		}
		wait.Go(func() { results[i] = j.trial(ctx, t.runtime, t.trial) })
	}
	wait.Wait()
	return results
}

// denied is the layer that an errno suggests; the verdict does not rest on it. Where the real spec has a filter and another answer
// than the barrier alone gives, the filter came first.
func denied(g *guarantee.Guarantee, errno unix.Errno, filtered bool) string {
	if layer, ok := g.Refusal[errno]; ok && (layer != guarantee.Seccomp || filtered) {
		return string(layer)
	}
	switch {
	case errno == 0:
		return ""
	case filtered && (errno == unix.EPERM || errno == unix.ENOSYS):
		return "likely " + string(guarantee.Seccomp) // the errno does not tell it from the kernel
	case errno == unix.ENOSYS:
		return string(guarantee.NotBuilt)
	case errno == unix.EPERM:
		return string(guarantee.Capability)
	case errno == unix.EACCES:
		return string(guarantee.DAC)
	case errno == unix.EROFS:
		return string(guarantee.Mount)
	}
	return "unexpected " + unix.ErrnoName(errno)
}

package judge

import (
	"fmt"
	"slices"

	"cellwall/reports/record"
)

// conclude makes a verdict of trials: the real one, those with the barrier alone, and the controls.
func conclude(v *record.Verdict, results []record.Trial, alone int) {
	real := results[0]
	v.Outcome, v.DeniedBy, v.Errno = real.Outcome, real.DeniedBy, real.Errno
	v.Evidence, v.Reason, v.Tries = real.Evidence, real.Reason, real.Tries
	if v.Claimed {
		if alone > 0 {
			v.Alone = &results[1]
		}
		v.Controls = results[1+alone:]
		weigh(v)
	} else if v.Outcome == record.Held {
		v.Outcome, v.Reason = record.Unproven, "not claimed: no control has shown that the attack can succeed"
	}
}

// weigh lets the proof decide what the attack on the real spec is worth. A breach that any
// witness has seen outweighs everything; that something is unsupported outweighs nothing but a
// clean proof.
func weigh(v *record.Verdict) {
	v.Control = worst(v.Controls)
	switch {
	case v.Outcome == record.Breached:
	case v.Alone != nil && v.Alone.Outcome == record.Breached:
		v.Outcome = record.Breached
		v.Reason, v.Evidence = "the barrier alone does not hold; another one hides it", v.Alone.Evidence
	case v.Outcome != record.Held:
	case v.Control == nil:
		v.Outcome, v.Reason = record.Inconclusive, "it has no control: nothing shows that the attack can succeed"
	case v.Control.Outcome != record.Breached && v.Control.Outcome != record.Unsupported:
		v.Outcome = record.Inconclusive
		v.Reason = fmt.Sprintf("control did not breach: with %s it was %s: %s", v.Control.Edit, v.Control.Outcome, because(v.Control))
	case v.Alone != nil && v.Alone.Outcome == record.Unsupported:
		v.Outcome, v.Reason = record.Unsupported, "barrier alone: "+v.Alone.Reason
	case v.Alone != nil && v.Alone.Outcome != record.Held:
		v.Outcome, v.Reason = record.Inconclusive, "barrier alone: "+because(v.Alone)
	case v.Control.Outcome == record.Unsupported:
		v.Outcome, v.Reason = record.Unsupported, "control: "+v.Control.Reason
	case v.DeniedBy == "" && v.Alone != nil:
		v.DeniedBy = v.Alone.DeniedBy
	}
}

// worst returns the control that says least for the row: one that ran and did not breach before
// one that could not run, and that before one that did as it should.
func worst(controls []record.Trial) *record.Trial {
	if len(controls) == 0 {
		return nil
	}
	for _, unwanted := range []func(record.Outcome) bool{
		func(o record.Outcome) bool { return o != record.Breached && o != record.Unsupported },
		func(o record.Outcome) bool { return o == record.Unsupported },
	} {
		if i := slices.IndexFunc(controls, func(t record.Trial) bool { return unwanted(t.Outcome) }); i >= 0 {
			return &controls[i]
		}
	}
	return &controls[0]
}

func because(t *record.Trial) string {
	if t.Reason != "" {
		return t.Reason
	}
	return t.Evidence
}

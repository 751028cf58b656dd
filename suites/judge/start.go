package judge

import (
	"context"
	"errors"
	"strings"

	"cellwall/reports/record"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/guarantee"
	"cellwall/suites/sentinel"
)

// Starts makes the smallest container of the runtime, which has to give back a secret of its own and
// to leave nothing behind. The error says why it does not: where there is one, no row can say more.
func (j *Judge) Starts(ctx context.Context) error {
	g := &guarantee.Guarantee{
		ID: "start", Rung: spec.Runtime, Attack: attack.Live,
		Witness: func(*sentinel.Stage) (*sentinel.Watch, error) { return &sentinel.Watch{}, nil },
	}
	before, err := j.census()
	if err != nil {
		return err
	}
	t := j.trial(ctx, j.Runtime, trial{guarantee: g, rung: j.Runtime.Floor()})
	if t.Outcome != record.Held {
		return errors.New(because(&t))
	}
	if left := j.leaks(before); len(left) > 0 {
		return errors.New("it leaves something on the host: " + strings.Join(left, "; "))
	}
	return nil
}

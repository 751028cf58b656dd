package judge_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"cellwall/runtime/driver"
	"cellwall/suites/judge"
)

// altered is a runtime whose Create is another's with something done before.
type altered struct {
	driver.Runtime
	before func(*driver.Bundle) error
}

func (a altered) Create(ctx context.Context, b driver.Bundle) (driver.Container, error) {
	if err := a.before(&b); err != nil {
		return nil, err
	}
	return a.Runtime.Create(ctx, b)
}

func TestStarts(t *testing.T) {
	j, _ := newJudge(t)
	var left *os.File
	defer func() { _ = left.Close() }() // nil where it was never opened
	for _, c := range []struct {
		name   string
		before func(*driver.Bundle) error
		want   string // in the error; empty is none
	}{
		{name: "as it should", before: func(*driver.Bundle) error { return nil }},
		{name: "refuses", before: func(*driver.Bundle) error { return errors.New("no daemon") }, want: "no daemon"},
		{name: "gives back another secret", before: func(b *driver.Bundle) error {
			b.Spec.Process.Args[len(b.Spec.Process.Args)-1] = "stale"
			return nil
		}, want: "the attacker did not end"},
		{name: "leaves a descriptor", before: func(*driver.Bundle) (err error) {
			left, err = os.Open(os.DevNull)
			return err
		}, want: "it leaves something on the host: descriptor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a hang is to be one
			defer cancel()
			err := (&judge.Judge{Run: j.Run, Runtime: altered{j.Core, c.before}}).Starts(ctx)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

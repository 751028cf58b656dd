package record_test

import (
	"slices"
	"testing"
	"time"

	"cellwall/reports/record"
)

func TestCountPutsEveryVerdictInOnePlace(t *testing.T) {
	breached, held := &record.Trial{Outcome: record.Breached}, &record.Trial{Outcome: record.Held}
	onCore := &record.Trial{Outcome: record.Breached, On: "core"}
	verdicts := []record.Verdict{
		{Outcome: record.Held, Control: breached, Alone: held},
		{Outcome: record.Held, Control: breached, Alone: held, Claimed: true, Leaks: []string{"x"}},
		{Outcome: record.Held, Duration: 2 * time.Second},
		{Outcome: record.Unproven, Duration: time.Second},
		{Outcome: record.Held, Control: held, Alone: held},
		{Outcome: record.Held, Control: breached, Alone: breached},
		{Outcome: record.Held, Control: breached, Alone: held, Controls: []record.Trial{*breached, *held}},
		{Outcome: record.Breached, Claimed: true, Control: breached, Alone: held},
		{Outcome: record.Breached},
		{Outcome: record.Breached},
		{Outcome: record.Unsupported, Control: breached, Alone: held},
		{Outcome: record.Inconclusive},
		{Outcome: "later"},
		{Outcome: record.Unproven},
		{Outcome: record.Held, Control: onCore, Alone: held},
		{Outcome: record.Held, Control: onCore},
		{Outcome: record.Held, Control: breached, Alone: held, Controls: []record.Trial{*breached, *onCore}},
		{Outcome: record.Held, Control: onCore, Alone: held, Controls: []record.Trial{*onCore, *held}},
		{Outcome: record.Held, Control: onCore, Alone: held, Runtime: "core"},
		{Outcome: record.Held, Control: breached, Alone: held, KeptBy: "kernel"},
		{Outcome: record.Breached, Control: breached, Alone: held, KeptBy: "kernel", Claimed: true},
	}
	want := record.Tally{
		Held: 12, Proven: 3, CoreProven: 3, Apart: 1, Breached: 2, NotClaimed: 2, Unsupported: 1, Inconclusive: 2, Unproven: 2,
		Leaked: 1, Total: 21, Spent: 3 * time.Second,
	}
	got := record.Count(verdicts)
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if sum := got.Held + got.Breached + got.NotClaimed + got.Unsupported + got.Inconclusive + got.Unproven; sum != got.Total {
		t.Errorf("the parts sum to %d, not to %d", sum, got.Total)
	}
}

func TestSplitKeepsOrder(t *testing.T) {
	verdicts := []record.Verdict{{Group: "b", Rung: "1"}, {Group: "a", Rung: "2"}, {Group: "b", Rung: "3"}}
	parts := record.Split(verdicts, func(v *record.Verdict) string { return v.Group })
	if len(parts) != 2 || parts[0].Name != "b" || parts[1].Name != "a" || len(parts[0].Verdicts) != 2 || parts[0].Verdicts[1].Rung != "3" {
		t.Errorf("got %+v", parts)
	}
}

func climb(t *testing.T, verdicts ...record.Verdict) record.Ladder {
	t.Helper()
	l, err := record.Climb(verdicts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ids(rows []record.Row) []string {
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.Guarantee)
	}
	return ids
}

func TestLadder(t *testing.T) {
	at := func(id, group, rung string, o record.Outcome) record.Verdict {
		return record.Verdict{Guarantee: id, Group: group, Claim: "claims " + id, Rung: rung, Outcome: o}
	}
	l := climb(t,
		at("fs.a", "fs", "hardened", record.Held), at("fs.a", "fs", "bare", record.Breached), at("fs.a", "fs", "mine", record.Held),
		at("net.b", "net", "chroot", record.Breached), at("net.b", "net", "bare", record.Held),
		at("fs.c", "fs", "chroot", record.Held), at("fs.c", "fs", "bare", record.Breached), at("fs.c", "fs", "hardened", record.Breached),
		at("fs.d", "fs", "chroot", record.Unsupported), at("fs.d", "fs", "hardened", record.Held),
	)
	if want := []string{"bare", "chroot", "hardened", "mine"}; !slices.Equal(l.Columns, want) {
		t.Errorf("rungs %v, want %v", l.Columns, want)
	}
	if want := []string{"fs.a", "fs.c", "fs.d", "net.b"}; !slices.Equal(ids(l.Rows), want) {
		t.Errorf("rows %v, want %v", ids(l.Rows), want)
	}
	for what, tt := range map[string]struct {
		got  []record.Row
		want []string
	}{
		"added by bare":     {l.Added(0), nil},
		"added by chroot":   {l.Added(1), []string{"fs.c"}},
		"added by hardened": {l.Added(2), nil}, // fs.a was not tried at chroot, fs.d was not breached there
		"lost by chroot":    {l.Lost(1), []string{"net.b"}},
		"lost by hardened":  {l.Lost(2), []string{"fs.c"}},
		"breached at top":   {l.With(2, record.Breached), []string{"fs.c"}},
	} {
		if !slices.Equal(ids(tt.got), tt.want) {
			t.Errorf("%s: %v, want %v", what, ids(tt.got), tt.want)
		}
	}
	if got, want := l.At(0, "fs"), (record.Tally{NotClaimed: 2, Total: 2}); got != want {
		t.Errorf("fs at bare: %+v, want %+v", got, want)
	}
	if got, want := l.At(0, ""), (record.Tally{NotClaimed: 2, Held: 1, Total: 3}); got != want {
		t.Errorf("all at bare: %+v, want %+v", got, want)
	}
	if l.Rows[0].Claim != "claims fs.a" || l.Rows[0].Verdicts[1] != nil {
		t.Errorf("row %+v", l.Rows[0])
	}
}

func TestClimbRefuses(t *testing.T) {
	v := record.Verdict{Guarantee: "g", Runtime: "core", Rung: "bare"}
	other := v
	other.Runtime, other.Rung = "runc", "chroot"
	for name, verdicts := range map[string][]record.Verdict{"nothing": nil, "two runtimes": {v, other}, "the same twice": {v, v}} {
		if _, err := record.Climb(verdicts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

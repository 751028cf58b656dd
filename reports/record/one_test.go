package record_test

import (
	"strings"
	"testing"

	"cellwall/reports/record"
)

// TestOne takes apart what no single report can be made of.
func TestOne(t *testing.T) {
	v := func(run, id, runtime, rung string) record.Verdict {
		return record.Verdict{Run: run, Guarantee: id, Runtime: runtime, Rung: rung, Outcome: record.Held}
	}
	runs := func(ids ...string) []record.Run {
		var list []record.Run
		for _, id := range ids {
			list = append(list, record.Run{ID: id})
		}
		return list
	}
	for _, tt := range []struct {
		name string
		set  record.Set
		want string // in the error; empty: none
	}{
		{name: "several runtimes and rungs", set: record.Set{Runs: runs("r"), Verdicts: []record.Verdict{
			v("r", "a.b", "core", "bare"), v("r", "a.b", "core", "chroot"), v("r", "a.b", "runc", "bare"), v("r", "a.c", "core", "bare"),
		}}},
		{name: "empty", want: "no records"},
		{name: "no run", set: record.Set{Verdicts: []record.Verdict{v("r", "a.b", "core", "bare")}}, want: "lost its start"},
		{name: "two runs", set: record.Set{Runs: runs("r", "s"), Verdicts: []record.Verdict{v("r", "a.b", "core", "bare")}}, want: "2 runs"},
		{name: "no verdict", set: record.Set{Runs: runs("r")}, want: "no verdict"},
		{name: "another run's", set: record.Set{Runs: runs("r"), Verdicts: []record.Verdict{v("r", "a.b", "core", "bare"), v("\x1b", "a.c", "core", "bare")}}, want: `run "\x1b", not of "r"`},
		{name: "twice", set: record.Set{Runs: runs("r"), Verdicts: []record.Verdict{v("r", "a.b", "core", "bare"), v("r", "a.b", "core", "bare")}}, want: `two verdicts on "a.b" by "core" at "bare"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run, verdicts, err := tt.set.One()
			if tt.want == "" {
				if err != nil || run.ID != tt.set.Runs[0].ID || len(verdicts) != len(tt.set.Verdicts) {
					t.Errorf("got %v, %d verdicts, %v", run, len(verdicts), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if len(verdicts) != 0 {
				t.Error("verdicts beside an error")
			}
		})
	}
}

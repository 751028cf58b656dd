package record_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cellwall/reports/record"
)

// grown is a matrix of two kernels with v2 and two runtimes, then one with v1: its boots, each the
// records that it wrote.
func grown() []record.Set {
	boot := func(place int, kernel, cgroup, run string, runtimes ...string) record.Set {
		s := record.Set{Runs: []record.Run{{ID: run, Selection: []string{"fs.*"}, Asked: 2 * len(runtimes)}}}
		for i, rt := range runtimes {
			c := record.Cell{Place: place + i, Of: 5, Kernel: kernel, Release: kernel + ".0", Cgroup: cgroup, Runtime: rt, Outcome: record.CellWaiting}
			begun, booted := c, c
			begun.Outcome, begun.Run = record.CellBegun, run
			booted.Outcome, booted.Run, booted.Up = record.CellBooted, run, time.Second
			s.Cells = append(s.Cells, c, begun, booted)
			for _, id := range []string{"fs.a", "fs.b"} {
				s.Verdicts = append(s.Verdicts, record.Verdict{Run: run, Guarantee: id, Group: "fs", Runtime: rt, Outcome: record.Held})
			}
		}
		return s
	}
	return []record.Set{
		boot(1, "5.10", "v2", "r1", "core", "runc"), boot(3, "6.1", "v2", "r2", "core", "runc"), boot(5, "6.1", "v1", "r3", "core"),
	}
}

// joined is all sets as one file has them.
func joined(sets ...record.Set) record.Set {
	var all record.Set
	for _, s := range sets {
		all.Runs = append(all.Runs, s.Runs...)
		all.Cells = append(all.Cells, s.Cells...)
		all.Verdicts = append(all.Verdicts, s.Verdicts...)
	}
	return all
}

func TestMergeIsTheSameForEveryWayToShard(t *testing.T) {
	s := grown()
	want, err := record.Merge(joined(s...))
	if err != nil {
		t.Fatal(err)
	}
	for name, shards := range map[string][]record.Set{
		"one a boot": s, "backwards": {s[2], s[1], s[0]}, "two": {joined(s[2], s[0]), s[1]},
	} {
		got, err := record.Merge(shards...)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\nwant\n%+v", name, err, got, want)
		}
	}
	if len(want.Cells) != 5 || want.Of != 5 || len(want.Tables) != 3 {
		t.Fatalf("%+v", want)
	}
	table := want.Tables[1]
	if table.Runtime != "runc" || table.Cgroup != "v2" || !slices.Equal(table.Columns, []string{"5.10", "6.1"}) || len(table.Rows) != 2 {
		t.Errorf("%+v", table)
	}
	if v := table.Rows[1].Verdicts[1]; v == nil || v.Run != "r2" || v.Guarantee != "fs.b" || v.Runtime != "runc" {
		t.Errorf("%+v", v)
	}
	if c := table.Cells[1]; c.Outcome != record.CellBooted || c.Up != time.Second {
		t.Errorf("the last record of a place does not count: %+v", c)
	}
}

// An interrupted matrix and a missing shard are matrices too; what did not run shows.
func TestMergeOfAPart(t *testing.T) {
	s := grown()
	s[1].Cells = s[1].Cells[:2] // begun; the runc cell is gone with its verdicts
	s[1].Verdicts = s[1].Verdicts[:1]
	m, err := record.Merge(s[0], s[1])
	if err != nil || m.Of != 5 || len(m.Cells) != 3 || m.Cells[2].Outcome != record.CellBegun {
		t.Fatalf("%v %+v", err, m)
	}
	if row := m.Tables[0].Rows[1]; row.Verdicts[0] == nil || row.Verdicts[1] != nil {
		t.Errorf("%+v", row)
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s []record.Set) []record.Set
		want   string
	}{
		{"nothing", func([]record.Set) []record.Set { return []record.Set{{}} }, "no cell"},
		{"a shard twice", func(s []record.Set) []record.Set { return append(s, s[1]) }, "core on 6.1 with cgroup v2 is in two of the files"},
		{"another size", func(s []record.Set) []record.Set {
			for i := range s[2].Cells {
				s[2].Cells[i].Of = 6
			}
			return s
		}, "one has 5 cells, another 6"},
		{"another plan", func(s []record.Set) []record.Set {
			for i := range s[2].Cells {
				s[2].Cells[i].Place = 4
			}
			return s
		}, "place 4 is"},
		{"one cell at two places", func(s []record.Set) []record.Set {
			for i := range s[2].Cells {
				s[2].Cells[i].Cgroup = "v2"
			}
			return s
		}, "at two places"},
		{"a place that changes", func(s []record.Set) []record.Set { s[0].Cells[1].Kernel = "moon"; return s }, "place 1 is"},
		{"another selection", func(s []record.Set) []record.Set { s[1].Runs[0].Selection = nil; return s }, `run "r1" tried ["fs.*"]`},
		{"a lost verdict", func(s []record.Set) []record.Set { s[1].Verdicts = s[1].Verdicts[1:]; return s }, "gave 4 verdicts, and 3 are there"},
		{"a run of no cell", func(s []record.Set) []record.Set { s[1].Runs[0].ID = "x"; return s }, `run "x" is of no cell`},
		{"a run without a name", func(s []record.Set) []record.Set { s[1].Runs[0].ID = ""; return s }, `run "" is of no cell`},
		{"a run twice", func(s []record.Set) []record.Set { s[1].Runs = append(s[1].Runs, s[1].Runs[0]); return s }, "is there twice"},
		{"a lost run", func(s []record.Set) []record.Set { s[1].Runs = nil; return s }, `no record describes run "r2"`},
		{"a lost run and its verdicts", func(s []record.Set) []record.Set { s[1].Runs, s[1].Verdicts = nil, nil; return s }, `no record describes its run "r2"`},
		{"a verdict of no cell", func(s []record.Set) []record.Set { s[1].Verdicts[0].Runtime = "moon"; return s }, `by "moon" is of no cell`},
		{"a verdict twice", func(s []record.Set) []record.Set { s[1].Verdicts[1] = s[1].Verdicts[0]; return s }, `core with cgroup v2: two verdicts on "fs.a" at "6.1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := record.Merge(tt.change(grown())...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(m.Cells) > 0 {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCellIsWrittenAndRead(t *testing.T) {
	c := record.Cell{
		Place: 2, Of: 3, Kernel: "debian-12", Release: "6.1.0-40", Arch: "amd64", Cgroup: "v2", Runtime: "core", Outcome: record.KernelFailed,
		Reason: "panic", Accel: "tcg", Up: 1, Took: 2,
	}
	for i := range record.MaxTail + 5 {
		c.Tail = append(c.Tail, strings.Repeat("x", 2*record.MaxTailLine)[i:])
	}
	var b bytes.Buffer
	if err := record.NewWriter(&b).Cell(c); err != nil {
		t.Fatal(err)
	}
	set, err := record.Read("x", &b)
	if err != nil || len(set.Cells) != 1 || !set.IsMatrix() {
		t.Fatalf("%v %+v", err, set)
	}
	got := set.Cells[0]
	if len(got.Tail) != record.MaxTail || len(got.Tail[0]) != record.MaxTailLine {
		t.Errorf("%d lines, the first of %d bytes", len(got.Tail), len(got.Tail[0]))
	}
	got.Tail, got.Header = c.Tail, record.Header{}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v, want %+v", got, c)
	}
}

func TestReadRefusesCells(t *testing.T) {
	const cell = `{"schema":"cellwall/1","kind":"cell","place":1,"of":1,"kernel":"k","cgroup":"v2","runtime":"core","outcome":"booted"}`
	if _, err := record.Read("x", strings.NewReader(cell)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, to, want string }{
		{`"k"`, `""`, "without kernel"},
		{`"v2"`, `""`, "without kernel"},
		{`"core"`, `""`, "without kernel"},
		{`"place":1`, `"place":0`, "place 0 of 1"},
		{`"place":1`, `"place":2`, "place 2 of 1"},
		{`booted`, `bootde`, `outcome "bootde" is unknown`},
		{`"of":1`, `"of":"1"`, "parse cell"},
	} {
		_, err := record.Read("x", strings.NewReader(strings.Replace(cell, tt.from, tt.to, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), "x:1: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.to, err, tt.want)
		}
	}
}

package render

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"cellwall/reports/record"
)

// kernelMatrix has three kernels: one without a call, one that breached, one that never came up; and
// a place that is of another shard.
func kernelMatrix(t *testing.T) record.Matrix {
	t.Helper()
	var s record.Set
	for i, kernel := range []string{"old", "mid", "new"} {
		c := record.Cell{Place: i + 1, Of: 4, Kernel: kernel, Release: kernel + ".0", Cgroup: "v2", Runtime: "core", Outcome: record.CellBooted, Run: kernel, Accel: "tcg"}
		if kernel == "new" {
			c.Outcome, c.Run, c.Reason, c.Tail = record.KernelFailed, "", "panicked", []string{"BUG: moon", "\x1b[31m``` end"}
			s.Cells = append(s.Cells, c)
			continue
		}
		s.Cells = append(s.Cells, c)
		s.Runs = append(s.Runs, record.Run{ID: kernel, Asked: 3})
		v := record.Verdict{Run: kernel, Guarantee: "fs.same", Group: "fs", Claim: "cannot", Runtime: "core", Outcome: record.Held,
			Control: &record.Trial{Outcome: record.Breached}, Alone: &record.Trial{Outcome: record.Held}}
		gated, changed := v, v
		gated.Guarantee, changed.Guarantee = "fs.gated", "net.changed"
		changed.Group = "net"
		if kernel == "old" {
			gated.Outcome, gated.Reason = record.Unsupported, "not supported: \x1b[2Jcall <b>(5.12)"
		} else {
			changed.Outcome, changed.Evidence, changed.Claimed = record.Breached, "a packet", true
		}
		s.Verdicts = append(s.Verdicts, v, gated, changed)
	}
	m, err := record.Merge(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestKernelMatrix(t *testing.T) {
	m := kernelMatrix(t)
	var text, md bytes.Buffer
	if err := errors.Join(MatrixText(&text, m, Text{}), MatrixMarkdown(&md, m)); err != nil {
		t.Fatal(err)
	}
	for out, wants := range map[*bytes.Buffer][]string{
		&text: {
			"The kernel matrix: 2 of 4 cells, and 1 are of shards that are not here\n", "core with cgroup v2\n",
			"fs   1/2      2/2    -\n", "net  1/1  0/1 (1)    -\n", "2 of 3 guarantees differ between kernels\n",
			"\n  old is old.0 on tcg\n", "new is new.0 on tcg: kernel failed\n",
			"fs.gated: feature absent\n", `old: unsupported: not supported: \x1b[2Jcall <b>(5.12)`, "mid: held\n",
			"net.changed: behaviour changed\n", "mid: BREACHED: a packet\n",
			"core on new with cgroup v2: kernel failed\n", "\n  panicked\n", "\n    BUG: moon\n", "\\x1b[31m``` end\n",
		},
		&md: {
			"| group | old | mid | new |\n| --- | ---: | ---: | ---: |\n| fs | 1/2 | 2/2 | \\- |\n", "- **fs.gated**: feature absent. A container cannot.\n",
			`old: unsupported: not supported: `, "  - mid: BREACHED: a packet\n", "````text\nBUG: moon\n\\x1b[31m``` end\n````\n",
		},
	} {
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		for _, bad := range []string{"\x1b", "fs.same"} {
			if strings.Contains(out.String(), bad) {
				t.Errorf("%q in\n%s", bad, out)
			}
		}
	}
	if strings.Contains(md.String(), "<b>") {
		t.Errorf("markup in\n%s", &md)
	}
}

// TestKernelMatrixIsOfWholeCells: what a guest that died has not said is no difference.
func TestKernelMatrixIsOfWholeCells(t *testing.T) {
	m := kernelMatrix(t)
	m.Tables[0].Cells[1].Outcome = record.WeFailed
	if list, same := differences(&m.Tables[0]); len(list) > 0 || same != 3 {
		t.Errorf("%d the same, and %+v", same, list)
	}
}

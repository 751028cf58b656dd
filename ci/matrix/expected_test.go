package matrix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/suites/guarantee"
)

func known(id string) bool {
	for _, g := range guarantee.All() {
		if g.ID == id {
			return true
		}
	}
	return id == "fs.b"
}

const expected = "runtime: core\ncgroup: v2\nguarantees:\n  - name: fs.b\n    from: 6.1\n    reason: a call\n"

func TestExpectedOfTheRepository(t *testing.T) {
	file := filepath.Join("..", "expected.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseExpected(file, text, known); err != nil {
		t.Error(err)
	}
}

func TestParseExpectedRefuses(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"    reason", "    raeson", "x:6: field raeson not found: docs/matrix.md"},
		{"cgroup: v2", "cgruop: v2", "x:2: field cgruop not found"},
		{"cgroup: v2", "cgroup: [v2]", "x:2: cannot unmarshal"},
		{"cgroup: v2", "cgroup: ''", "it needs runtime, cgroup and guarantees"},
		{"6.1", "6", `x:6: from "6" is no kernel`},
		{"6.1", "6.1-rc1", `from "6.1-rc1" is no kernel`},
		{"6.1", "new", `from "new" is no kernel`},
		{"fs.b", "fs.moon", `x:6: guarantee "fs.moon" is none`},
		{"a call", "''", "x:6: guarantee 1 needs name, from and reason"},
		{"a call\n", "a call\n  - name: fs.b\n    from: 6.2\n    reason: b\n", "x:9: guarantee fs.b is there twice"},
		{"a call\n", "a call\n---\na: b\n", "more than one document"},
		{expected, "", "it needs runtime"},
	} {
		_, err := ParseExpected("x", []byte(strings.Replace(expected, c.from, c.to, 1)), known)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %q", c.to, err, c.want)
		}
	}
}

func FuzzParseExpected(f *testing.F) {
	f.Add([]byte(expected))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ParseExpected("x", text, func(string) bool { return true })
		if err == nil && len(e.rows) == 0 || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %+v", err, e)
		}
	})
}

// TestSurprises has fs.b unsupported on 5.10 and held later.
func TestSurprises(t *testing.T) {
	set, err := run(t, t.Context(), Job{Boots: plan(), Boot: boots(nil)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := record.Merge(set)
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"5.11": "", "6.1": "",
		"5.10": "fs.b on old (5.10.0-1): expected held from 5.10 on (a call), seen unsupported: no call",
		"6.2":  "fs.b on mid (6.1.0-1): expected held from 6.2 on only (a call), seen held",
	} {
		e, err := ParseExpected("x", []byte(strings.Replace(expected, "6.1", from, 1)), known)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(e.Surprises(m), "\n"); got != want {
			t.Errorf("from %s: %q, want %q", from, got, want)
		}
		e.Runtime = "crun"
		if got := e.Surprises(m); len(got) > 0 {
			t.Errorf("of another runtime: %q", got)
		}
	}
	e, err := ParseExpected("x", []byte(strings.Replace(expected, "6.1", "5.10", 1)), known)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Tables {
		m.Tables[i].Cells[0].Outcome = record.WeFailed
	}
	if got := e.Surprises(m); len(got) > 0 {
		t.Errorf("of a cell that failed: %q", got)
	}
}

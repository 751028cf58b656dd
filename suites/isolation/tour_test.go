package isolation_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/isolation"
	"cellwall/suites/judge"
)

// named is a runtime that has a name and nothing else.
type named struct {
	driver.Runtime
	name string
}

func (n named) Name() string { return n.name }

// subject has rows whose claims are not in the order of the alphabet. Its judge has no run: each row fails.
func subject(name string) isolation.Subject {
	return isolation.Subject{
		Judge: &judge.Judge{Run: &judge.Run{}, Runtime: named{name: name}}, Rung: spec.Hardened,
		Rows: []*guarantee.Guarantee{{ID: "x.2", Claim: "cannot y"}, {ID: "x.1", Claim: "cannot x"}},
	}
}

// inChild runs a test again in a process of its own, as Ginkgo runs once in each, and returns its lines that
// begin with "row ". In that process it returns false.
func inChild(t *testing.T) (rows []string, parent bool) {
	t.Helper()
	const variable = "CELLWALL_TOUR"
	if os.Getenv(variable) != "" {
		return nil, false
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if row, ok := strings.CutPrefix(strings.TrimSpace(line), "row "); ok {
			rows = append(rows, row)
		}
	}
	return rows, true
}

// TestTourKeepsItsOrder: of runtimes and rows, also where rows fail.
func TestTourKeepsItsOrder(t *testing.T) {
	if rows, parent := inChild(t); parent {
		if got, want := strings.Join(rows, ", "), "b x.2, b x.1, a x.2, a x.1"; got != want {
			t.Errorf("ran %s, want %s", got, want)
		}
		return
	}
	tour := isolation.Tour{Subjects: []isolation.Subject{subject("b"), subject("a")}, Begin: func(runtime, id string) {
		fmt.Println("\nrow", runtime, id)
	}}
	if stood, interrupted := tour.Run(t.Context(), io.Discard); stood || interrupted {
		t.Error("all stood")
	}
}

// TestTourWaitsForAnAbandonedRow: whoever interrupts twice must not find that Run has returned while a row has
// yet to remove what it made.
func TestTourWaitsForAnAbandonedRow(t *testing.T) {
	if rows, parent := inChild(t); parent {
		if got, want := strings.Join(rows, ", "), "begins, ends, Run returns true"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		return
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	tour := isolation.Tour{Subjects: []isolation.Subject{subject("a")}, Begin: func(string, string) {
		fmt.Println("\nrow begins")
		for range 50 { // Ginkgo needs time to see that there are several
			if err := self.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // signals that come at once are one
		}
		fmt.Println("\nrow ends")
	}}
	_, interrupted := tour.Run(t.Context(), io.Discard)
	fmt.Println("\nrow Run returns", interrupted)
}

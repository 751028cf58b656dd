package mutants_test

import (
	"slices"
	"testing"

	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// weakness is what a careless or broken installation of a runtime lacks, and the rows that must
// see it.
type weakness struct {
	name string
	do   wrapper
	rows []string
	// rung is where the runtime works at all with the weakness; hardened, if none is given.
	rung spec.Rung
	// only names the one runtime that it can be tried on, and why says the reason.
	only, why string
	// strict says that the runtime's claims except the row: it is judged as if they did not. The
	// evidence must then have what sees says, and not have it without the weakness.
	strict bool
	sees   string
}

// weaknesses are all of them.
func weaknesses() []weakness {
	return slices.Concat(namespaceWeaknesses(), mountWeaknesses(), privilegeWeaknesses(), filterWeaknesses(), limitWeaknesses(), launchWeaknesses())
}

// leastWeaknesses is how many each runtime is tried with at the least.
const leastWeaknesses = 40

// TestWeaknesses shows that the table says what it is to say: enough of them for every runtime,
// names that tell them apart, rows that exist, and a reason for every exception.
func TestWeaknesses(t *testing.T) {
	known := map[string]bool{}
	for _, g := range guarantee.All() {
		known[g.ID] = true
	}
	count, names := map[string]int{}, map[string]bool{unchanged: true, killsTooMuch: true}
	sees := func(n string) {
		// One that is for no command, or for none that there is, leaves the runtime as it is: none would notice.
		w, ok := wrapperOf(n)
		if !ok || w.do == nil || len(w.commands) == 0 || slices.ContainsFunc(w.commands, func(c string) bool { return !slices.Contains(commands, c) }) {
			t.Errorf("%s: it does nothing, or is for the commands %q", n, w.commands)
		}
	}
	name := func(n string) {
		if n == "" || names[n] {
			t.Errorf("%q is no name of its own", n)
		}
		names[n] = true
		sees(n)
	}
	sees(unchanged)
	sees(killsTooMuch)
	for _, w := range weaknesses() {
		name(w.name)
		for _, runtime := range runtimes() {
			if w.only == "" || w.only == runtime {
				count[runtime]++
			}
		}
		if len(w.rows) == 0 {
			t.Errorf("%s: no row is to see it", w.name)
		}
		for _, id := range w.rows {
			if !known[id] {
				t.Errorf("%s: no guarantee %s", w.name, id)
			}
		}
		if w.strict && w.sees == "" {
			t.Errorf("%s: nothing in the evidence tells it from what the runtime breaks anyway", w.name)
		}
		if (w.only == "") != (w.why == "") || w.only != "" && !slices.Contains(runtimes(), w.only) {
			t.Errorf("%s: only %q because %q", w.name, w.only, w.why)
		}
	}
	for _, u := range allUnshown() {
		if !slices.ContainsFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == u.row && slices.Contains(g.Gates, u.gate) }) || u.why == "" {
			t.Errorf("%s: it has no such gate, or there is no reason", u.row)
		}
	}
	for _, u := range allUntold() {
		name(u.name)
		if u.because == "" {
			t.Errorf("%s: no row sees it, for no reason", u.name)
		}
	}
	for _, l := range lies() {
		name(l.name)
		if !known[l.row] {
			t.Errorf("%s: no guarantee %s", l.name, l.row)
		}
	}
	for _, runtime := range runtimes() {
		if count[runtime] < leastWeaknesses {
			t.Errorf("%s is tried with %d weaknesses, not with %d", runtime, count[runtime], leastWeaknesses)
		}
	}
}

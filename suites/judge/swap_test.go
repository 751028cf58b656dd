package judge

import (
	"os"
	"slices"
	"testing"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// uncounted is a runtime on a kernel that counts no swap: with swapaccount=0 there is no file to limit it.
type uncounted struct{ driver.Runtime }

func (r uncounted) Expresses(b driver.Bundle) error {
	if res := b.Spec.Linux.Resources; res != nil && res.Memory != nil && res.Memory.Swap != nil {
		return kernel.Unsupported("memory.swap.max")
	}
	return r.Runtime.Expresses(b)
}

// TestUncountedSwap: such a kernel can limit all else.
func TestUncountedSwap(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes containers")
	}
	run, err := NewRun(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close() //nolint:errcheck // the test is over
	run.swap = kernel.Unsupported("swap accounting")
	for _, id := range []string{"uts.hostname-host", "pids.fork-bomb", "memory.limit-kills-inside"} {
		i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == id })
		v := (&Judge{Run: run, Runtime: uncounted{run.Core}}).Check(t.Context(), guarantee.All()[i], spec.Limits)
		if v.Outcome != record.Held || !v.Proven() {
			t.Errorf("%s: %s: %s", id, v.Outcome, v.Reason)
		}
	}
}

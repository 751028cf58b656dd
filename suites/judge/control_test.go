package judge_test

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/sentinel"
)

// nosuidOnly is the core, but for volumes without nosuid.
type nosuidOnly struct{ driver.Runtime }

func (nosuidOnly) Name() string { return "nosuid-only" }

func (r nosuidOnly) Expresses(b driver.Bundle) error {
	if slices.ContainsFunc(b.Spec.Mounts, func(m specs.Mount) bool { return sentinel.IsVolume(m) && !slices.Contains(m.Options, "nosuid") }) {
		return kernel.Unsupported("volumes without nosuid")
	}
	return r.Runtime.Expresses(b)
}

// TestControlThatTheBaitForbids: that a runtime cannot make a control shows with the bait in the spec
// only. It runs on the core, and the row is proven; the barrier alone is never tried elsewhere.
func TestControlThatTheBaitForbids(t *testing.T) {
	j, _ := newJudge(t)
	j.Runtime = nosuidOnly{j.Runtime}
	i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == "fs.nosuid" })
	v := j.Check(t.Context(), guarantee.All()[i], spec.Namespaces)
	if v.Outcome != record.Held || !v.Proven() {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	if !v.ControlElsewhere() {
		t.Error("the control is taken for the runtime's own")
	}
	if len(v.Controls) != 1 || v.Controls[0].On != driver.CoreName || v.Alone == nil || v.Alone.On != "nosuid-only" {
		t.Errorf("controls %+v, alone %+v", v.Controls, v.Alone)
	}
}

// TestBothOnCoreAlone: what the control and the barrier alone have in common would harm the host on another
// runtime. The barrier is tried there with what has to stay beside it.
func TestBothOnCoreAlone(t *testing.T) {
	j, _ := newJudge(t)
	j.Runtime = nosuidOnly{j.Runtime}
	i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == "kernel.cgroup-raise" })
	v := j.Check(t.Context(), guarantee.All()[i], spec.Hardened)
	if v.Outcome != record.Held || len(v.Controls) != 1 || v.Controls[0].On != driver.CoreName {
		t.Errorf("%s: %s: controls %+v", v.Outcome, v.Reason, v.Controls)
	}
	if v.Alone == nil || v.Alone.Outcome != record.Held || v.Alone.On != "nosuid-only" {
		t.Errorf("alone %+v", v.Alone)
	}
}

// TestWhoKeepsIt: no runtime keeps what the trial sets up in the kernel, and of what the harness keeps
// the core is part.
func TestWhoKeepsIt(t *testing.T) {
	j, _ := newJudge(t)
	other := *j
	other.Runtime = nosuidOnly{j.Runtime}
	for _, c := range []struct{ id, byCore, byOther string }{
		{"uts.hostname-host", "", ""},
		{"net.landlock-tcp", "kernel", "kernel"},
		{"lifecycle.no-fd-growth", "", "harness"},
	} {
		i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == c.id })
		g := guarantee.All()[i]
		if v := j.Check(t.Context(), g, spec.Hardened); v.KeptBy != c.byCore {
			t.Errorf("%s on the core is kept by %q, want %q", c.id, v.KeptBy, c.byCore)
		}
		if v := other.Check(t.Context(), g, spec.Hardened); v.KeptBy != c.byOther {
			t.Errorf("%s on another runtime is kept by %q, want %q", c.id, v.KeptBy, c.byOther)
		}
	}
}

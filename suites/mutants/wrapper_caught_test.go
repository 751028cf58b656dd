package mutants_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"cellwall/reports/record"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// unshown is a row that not every host can try, as its gate says, and why.
type unshown struct {
	row  string
	gate *kernel.Feature
	why  string
}

// allUnshown are those that may come out as unsupported. Any other that does fails.
func allUnshown() []unshown {
	return []unshown{
		{row: "syscall.i386-abi", gate: kernel.I386, why: "it is an ABI of x86-64 alone, and a kernel may be built without it"},
	}
}

// declareWeaknesses has a runtime behind a wrapper for each weakness.
func (s *stand) declareWeaknesses(runtime string) {
	for _, w := range weaknesses() {
		if w.only != "" && w.only != runtime {
			continue
		}
		for _, id := range w.rows {
			ginkgo.It("catches "+runtime+" with "+w.name+" by "+id, func(ctx ginkgo.SpecContext) {
				before := s.there()
				v := s.tried(ctx, runtime, w.name, id, w)
				gomega.Expect(s.left(before)).To(gomega.Equal(""))
				if v.Outcome == record.Unsupported && !shows(id) {
					return // and not counted
				}
				gomega.Expect(v.Outcome).To(gomega.Equal(record.Breached), "%s %s", v.Reason, v.Evidence)
				gomega.Expect(v.Claimed && !v.Known()).To(gomega.BeTrue(), "it would fail no run: claimed %t, exception %+v", v.Claimed, v.Exception)
				gomega.Expect(v.Evidence).To(gomega.ContainSubstring(w.sees))
				s.caught[runtime][w.name] = true
			})
			if w.strict {
				ginkgo.It("sees no "+w.sees+" in "+runtime+" without "+w.name+" by "+id, func(ctx ginkgo.SpecContext) {
					v := s.tried(ctx, runtime, unchanged, id, w)
					gomega.Expect(v.Evidence).NotTo(gomega.Equal(""), "%s: %s", v.Outcome, v.Reason)
					gomega.Expect(v.Evidence).NotTo(gomega.ContainSubstring(w.sees))
				})
			}
		}
	}
}

// tried judges a row on a runtime behind a wrapper as a weakness wants it.
func (s *stand) tried(ctx context.Context, runtime, wrapper, id string, w weakness) record.Verdict {
	j, err := s.run.Judge(ctx, s.wrapped(ctx, runtime, wrapper))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	j.Strict = w.strict
	rung := w.rung
	if rung == "" {
		rung = spec.Hardened
	}
	return j.Check(ctx, row(id), rung)
}

// shows says that this host can try a row, or that no list says that it may be unable to.
func shows(id string) bool {
	return !slices.ContainsFunc(allUnshown(), func(u unshown) bool {
		return u.row == id && errors.Is(u.gate.Check(), kernel.ErrNotSupported)
	})
}

// count shows that enough weaknesses were caught: one that was not tried is not.
func (s *stand) count(t *testing.T) {
	for runtime, names := range s.caught {
		if len(names) < leastWeaknesses {
			t.Errorf("of %s %d weaknesses were caught, not %d", runtime, len(names), leastWeaknesses)
		}
		t.Logf("of %s %d weaknesses were caught", runtime, len(names))
	}
}

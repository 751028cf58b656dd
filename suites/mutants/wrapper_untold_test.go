package mutants_test

import (
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/reports/record"
)

// untold is a weakness that no row tells: the nearest is tried, and must not see it. Once it does, the
// weakness belongs to the others.
type untold struct {
	weakness
	because string
}

// allUntold are all of them.
func allUntold() []untold {
	return []untold{
		{
			weakness: weakness{name: "--no-pivot", do: before("create", with("--no-pivot")), rows: []string{"fs.nested-chroot"}},
			because: "the root directory is moved to the top of the mount namespace, so that its .. is itself; " +
				"what lies below shows only to whoever may unmount it, which CAP_SYS_ADMIN alone is caught for",
		},
		{
			weakness: weakness{name: "an OOM score of -1000", rows: []string{"process.oom-score"}, do: edited(func(s *specs.Spec) {
				score := -1000
				s.Process.OOMScoreAdj = &score
			})},
			because: "the row looks whether a container lowers its own score; no create of a launcher without CAP_SYS_RESOURCE succeeds with it",
		},
	}
}

// declareUntold has a runtime behind a wrapper for each.
func (s *stand) declareUntold(runtime string) {
	for _, u := range allUntold() {
		for _, id := range u.rows {
			ginkgo.It("does not see "+runtime+" with "+u.name+" by "+id, func(ctx ginkgo.SpecContext) {
				v := s.tried(ctx, runtime, u.name, id, u.weakness)
				gomega.Expect(v.Outcome).NotTo(gomega.Equal(record.Breached), "a row tells it: %s %s", v.Reason, v.Evidence)
			})
		}
	}
}

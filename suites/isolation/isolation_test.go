package isolation_test

import (
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"

	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/isolation"
	"cellwall/suites/judge"
)

// TestCore runs the catalogue on the core at the top rung.
func TestCore(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes containers")
	}
	run, err := judge.NewRun(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(); err != nil {
			t.Error(err)
		}
	})
	j, err := run.Judge(t.Context(), run.Core)
	if err != nil {
		t.Fatal(err)
	}
	tour := isolation.Tour{Subjects: []isolation.Subject{{Judge: j, Rung: spec.Hardened, Rows: guarantee.All()}}}
	tour.Declare(t.Context())
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.FailOnEmpty = true
	reporter.NoColor, reporter.Succinct = true, true // what matters is not to drown in what passed
	ginkgo.RunSpecs(t, "isolation", suite, reporter)
}

package isolation

import (
	"fmt"
	"strings"

	"github.com/onsi/gomega/types"

	"cellwall/reports/record"
)

// Stand succeeds for a verdict that fails nobody: what is claimed is held and proven, or the
// kernel lacks it, or it fails as is known; what is not claimed is known at all. Nothing is left on the host.
func Stand() types.GomegaMatcher { return stand{} }

type stand struct{}

func (stand) Match(actual any) (bool, error) {
	v, ok := actual.(record.Verdict)
	if !ok {
		return false, fmt.Errorf("only a record.Verdict can stand, not %T", actual)
	}
	if len(v.Leaks) > 0 {
		return false, nil
	}
	switch v.Outcome {
	case record.Held:
		return !v.Claimed || v.Proven(), nil
	case record.Unsupported, record.Unproven:
		return true, nil
	case record.Breached:
		return !v.Claimed || v.Known(), nil
	default:
		return false, nil
	}
}

func (stand) FailureMessage(actual any) string {
	v, ok := actual.(record.Verdict)
	if !ok {
		return "no verdict"
	}
	lines := []string{fmt.Sprintf("%s: %s", v.Guarantee, v.Outcome)}
	for _, l := range []struct{ what, text string }{
		{"evidence", v.Evidence}, {"reason", v.Reason}, {"left on the host", strings.Join(v.Leaks, "; ")}, {"again", v.Again},
	} {
		if l.text != "" {
			lines = append(lines, l.what+": "+l.text)
		}
	}
	return strings.Join(lines, "\n")
}

func (stand) NegatedFailureMessage(any) string { return "the verdict stands, and should not" }

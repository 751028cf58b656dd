package isolation

import (
	"fmt"
	"strings"

	"cellwall/reports/record"
)

// stands reports whether a verdict fails nobody: what is claimed is held and proven, or the kernel
// lacks it, or it fails as is known; what is not claimed is known at all. Nothing is left on the host.
func stands(v *record.Verdict) bool {
	if len(v.Leaks) > 0 {
		return false
	}
	switch v.Outcome {
	case record.Held:
		return !v.Claimed || v.Proven()
	case record.Unsupported, record.Unproven:
		return true
	case record.Breached:
		return !v.Claimed || v.Known()
	default:
		return false
	}
}

// failure is what Ginkgo reports of a verdict that does not stand.
func failure(v *record.Verdict) string {
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

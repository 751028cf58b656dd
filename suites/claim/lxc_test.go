package claim

import (
	"testing"

	"cellwall/runtime/spec"
)

// TestLXCLimits: on a host with cgroup v2 alone the limits are claimed.
func TestLXCLimits(t *testing.T) {
	lack := spec.Edits{spec.Change("no cgroup limits", nil)}
	for row, v2 := range map[string]bool{"memory.limit-kills-inside": true, "pids.fork-bomb": true, "device.unlisted": true, "io.weight": false} {
		v1 := row == "device.unlisted" // by BPF, in the hierarchy of v2 beside
		if got := Of(named{name: "lxc-execute"}, "5.0.2", row, spec.Hardened) == nil; got != v2 {
			t.Errorf("%s on v2 alone: claimed is %v", row, got)
		}
		if got := Of(named{name: "lxc-execute", lacks: lack}, "5.0.2", row, spec.Hardened) == nil; got != v1 {
			t.Errorf("%s with v1: claimed is %v", row, got)
		}
	}
}

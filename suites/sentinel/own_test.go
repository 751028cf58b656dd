package sentinel

import (
	"errors"
	"testing"

	"cellwall/runtime/kernel"
)

// TestOwnName: a container's cgroup has the trial's name, or one of an engine's. What else the trial has made
// starts with its name.
func TestOwnName(t *testing.T) {
	s := &Stage{Name: "cellwall-a-1"}
	for path, want := range map[string]bool{
		"/sys/fs/cgroup/cellwall-a/cellwall-a-1":          true,
		"/sys/fs/cgroup/cellwall-a/libpod-0123456789abcd": true,
		"/sys/fs/cgroup/cellwall-a/cellwall-a-1-runtime":  false,
		"0::/cellwall-a/cellwall-a-1-elsewhere":           false,
	} {
		if got := s.ownName(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestCopiedRoot: where the root directory is a copy nobody is asked what became of the original.
func TestCopiedRoot(t *testing.T) {
	s := &Stage{Copied: true}
	_, share := s.share(0o755)
	_, root := RootUnchanged(s)
	_, weight := IOShareKept(s)
	for _, err := range []error{share, root, weight} {
		if !errors.Is(err, kernel.ErrNotSupported) {
			t.Error(err)
		}
	}
}

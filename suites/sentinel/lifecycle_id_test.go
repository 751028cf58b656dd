package sentinel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellwall/runtime/cgroup"
)

// TestJoinUncheckedStays asks what keeps the stand-in for a careless runtime harmless: whatever the
// id, nothing appears outside the directory around its state.
func TestJoinUncheckedStays(t *testing.T) {
	top := t.TempDir()
	around := filepath.Join(top, "a", "around")
	state := filepath.Join(around, "state", "inner")
	if err := os.MkdirAll(state, 0o755); err != nil {
		t.Fatal(err)
	}
	list := func() (all []string) {
		err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			if path != around && !strings.HasPrefix(path, around+"/") {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := list()
	for _, id := range []string{
		"x", "../x", "../../x", "../../../x", "../../../../x", "../../../around-x", "a/../../x",
		"/x", "/../../../x", "", ".", "..", "../..", "../../..", "x\x00", "x\n", strings.Repeat("y", 4096),
	} {
		if err := joinUnchecked(around, state, id); err != nil {
			t.Errorf("%.40q: %v", id, err)
		}
	}
	if after := list(); !slices.Equal(before, after) {
		t.Errorf("outside were %q, and are %q", before, after)
	}
	if !exists(filepath.Join(around, "x")) || !exists(filepath.Join(around, "state", "x")) {
		t.Error("the stand-in left its state directory for no id")
	}
}

// TestStrayInStage: what has the name anywhere in the stage is found, but for a runtime's own place.
func TestStrayInStage(t *testing.T) {
	s := &Stage{Dir: t.TempDir()}
	s.Rootfs = filepath.Join(s.Dir, "rootfs")
	around := filepath.Join(s.Dir, "around")
	want := []string{filepath.Join(s.Dir, "oci-1", "x-out"), filepath.Join(s.Dir, "x-out2")}
	for _, dir := range append(want, filepath.Join(s.Dir, "oci-1", "state", "x-out"), filepath.Join(around, "x-out"), filepath.Join(s.Rootfs, "x-out"), filepath.Join(s.Dir, "y-x-out")) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.strayInStage("x-out", around)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("found %q, %v", got, err)
	}
}

// TestIDThatBreaksItsContainer: one that was made and then goes wrong is a breach, but not for want of time.
func TestIDThatBreaksItsContainer(t *testing.T) {
	for _, c := range []struct {
		made     bool
		err      error
		breached bool
	}{
		{made: true, err: errors.New("delete: no such container"), breached: true},
		{made: true, err: fmt.Errorf("delete: %w", context.DeadlineExceeded)},
		{err: errors.New("create: no space")},
	} {
		s := &Stage{Dir: t.TempDir(), Name: "cellwall-t-1", Fence: &cgroup.Group{}}
		s.Launch = func(ctx context.Context, _ string, w *Watch) (Finding, error) {
			if c.made {
				if err := w.Ready(ctx, nil); err != nil {
					return Finding{}, err
				}
			}
			return Finding{}, c.err
		}
		w, err := IDsStay(s)
		if err != nil {
			t.Fatal(err)
		}
		f, err := w.Gone(t.Context())
		if f.Breached != c.breached || (err != nil) == c.breached {
			t.Errorf("%v: %+v, %v", c.err, f, err)
		}
	}
}

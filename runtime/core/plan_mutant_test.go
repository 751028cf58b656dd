package core_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

func explain(t *testing.T, r core.Request) string {
	t.Helper()
	plan, err := core.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := plan.Explain(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestMutantsOfTheOrder: two walls are an order of steps, and their mutants another one.
func TestMutantsOfTheOrder(t *testing.T) {
	for _, c := range []struct {
		omit, step, before string
	}{
		{omit: "in-root-resolution", step: "mount tmpfs on /bundle/rootfs/tmp", before: "chroot ."},
		{omit: "", step: "chroot .", before: "mount tmpfs on /tmp"},
		{omit: "", step: "mask directory /sys/firmware", before: "pivot_root . ."},
		{omit: "", step: "open /dev/null", before: "chroot ."},
	} {
		r := core.Request{Spec: goldenSpec(spec.Hardened), Host: goldenHost}
		if c.omit != "" {
			r.Omit = []string{c.omit}
		}
		text := explain(t, r)
		first, second := strings.Index(text, c.step), strings.Index(text, c.before)
		if first < 0 || second < 0 || first > second {
			t.Errorf("without %q: %q is at %d, %q at %d, want the first before the second\n%s", c.omit, c.step, first, c.before, second, text)
		}
	}
	// The null device of the masks: from the launcher's root, and in the mutant from the image's.
	text := explain(t, core.Request{Spec: goldenSpec(spec.Hardened), Host: goldenHost, Omit: []string{"mask-source"}})
	if last := strings.LastIndex(text, "open /dev/null"); last < strings.Index(text, "chroot .") {
		t.Errorf("the mutant takes the mask's source before the root is the container's, at %d", last)
	}
}

// TestRecursiveOptionsNeedMountSetattr: a volume that cannot be made read-only with all that is
// mounted in it is refused, and never quietly writable.
func TestRecursiveOptionsNeedMountSetattr(t *testing.T) {
	s := goldenSpec(spec.Hardened)
	spec.WithMount(spec.Bind("/srv", "/srv", "rro")).Apply(s)
	old := goldenHost
	old.MountSetattr = false
	if _, err := core.Compile(core.Request{Spec: s, Host: old}); !errors.Is(err, kernel.ErrNotSupported) {
		t.Errorf("rro without mount_setattr: %v, want %v", err, kernel.ErrNotSupported)
	}
	if _, err := core.Compile(core.Request{Spec: s, Host: goldenHost}); err != nil {
		t.Errorf("rro with mount_setattr: %v", err)
	}
}

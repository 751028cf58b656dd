package sentinel

import (
	"os"
	"slices"
	"testing"
)

// TestWithoutStarters takes the parent of this process from lists, and nobody else.
func TestWithoutStarters(t *testing.T) {
	me, parent := os.Getpid(), os.Getppid()
	if parent == 0 {
		t.Skip("it has no parent in this pid namespace")
	}
	const other = 1 << 30
	a := &Subject{PID: me}
	for _, list := range [][]int{{me, other}, {parent, me, other}, {me, parent, other, parent}} {
		given := slices.Clone(list)
		got, err := a.withoutStarters(list)
		if want := []int{me, other}; err != nil || !slices.Equal(got, want) {
			t.Errorf("of %v are left %v, %v", given, got, err)
		}
		if !slices.Equal(list, given) {
			t.Errorf("the list %v became %v", given, list)
		}
	}
	if _, err := (&Subject{PID: other}).withoutStarters([]int{other}); err == nil {
		t.Error("a process that is not there has a parent")
	}
}

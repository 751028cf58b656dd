package command

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
)

// TestPlaceWhateverTheUmask: a mapped root passes to what run makes for it, from a careful shell too.
func TestPlaceWhateverTheUmask(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	defer unix.Umask(unix.Umask(0o077))
	var undo cleanup.Stack
	p, err := takePlace(&undo)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o755 {
		t.Errorf("%s is %v", p.dir, info.Mode())
	}
	if err := undo.Close(); err != nil {
		t.Fatal(err)
	}
}

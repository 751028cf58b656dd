package sentinel

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWalkDev makes nodes in a directory of its own, and looks at every kind of deviation.
func TestWalkDev(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes device nodes in a temporary directory")
	}
	const demo = 42 // for demonstrations: no driver has it
	for _, c := range []struct {
		name, path string
		kind       uint32
		device     uint64
		strange    bool
	}{
		{"default", "null", unix.S_IFCHR, unix.Mkdev(1, 3), false},
		{"wrong number", "null", unix.S_IFCHR, unix.Mkdev(1, 5), true},
		{"wrong kind", "null", unix.S_IFBLK, unix.Mkdev(1, 3), true},
		{"wrong name", "canary", unix.S_IFCHR, unix.Mkdev(1, 3), true},
		{"terminal", "pts/3", unix.S_IFCHR, unix.Mkdev(136, 3), false},
		{"terminal elsewhere", "sub/3", unix.S_IFCHR, unix.Mkdev(136, 3), true},
		{"no terminal", "pts/3", unix.S_IFCHR, unix.Mkdev(demo, 3), true},
		{"block", "disk", unix.S_IFBLK, unix.Mkdev(demo, 0), true},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, c.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mknod(path, c.kind, int(c.device)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		nodes, strange, err := walkDev(dir)
		if err != nil || nodes != 1 || (len(strange) > 0) != c.strange {
			t.Errorf("%s: %d nodes, strange %v, %v", c.name, nodes, strange, err)
		}
	}
}

func TestWalkDevWithoutDirectory(t *testing.T) {
	if nodes, strange, err := walkDev(filepath.Join(t.TempDir(), "none")); nodes != 0 || len(strange) != 0 || err != nil {
		t.Errorf("%d nodes, %v, %v", nodes, strange, err)
	}
}

// TestFirstUnlisted reads lists as devices.list has them.
func TestFirstUnlisted(t *testing.T) {
	const ours = "c *:* m\nb *:* m\nc 1:3 rwm\nc 5:2 rwm\nc 136:* rwm\nc 10:200 rwm\nb 7:5 rwm\n"
	for rule, want := range map[string]string{
		"": "", "c 1:11 m": "",
		"c 1:11 r": "c 1:11 r", "b 1:3 w": "b 1:3 w", "b 7:6 r": "b 7:6 r", "c *:* r": "c *:* r", "a *:* rwm": "a *:* rwm",
	} {
		if got := firstUnlisted(ours+rule+"\n", "b 7:5"); got != want {
			t.Errorf("%q: %q, not %q", rule, got, want)
		}
	}
	if got := firstUnlisted(ours, ""); got != "b 7:5 rwm" {
		t.Errorf("a device that was not given: %q", got)
	}
}

package sentinel

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

func TestTreeChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(dir string) error
		want   []string
	}{
		{name: "nothing", change: func(string) error { return nil }},
		{name: "content of the same size", change: func(dir string) error { return os.WriteFile(dir+"/gone", []byte("ecnon"), 0o600) }, want: []string{"gone has changed"}},
		{name: "mode", change: func(dir string) error { return os.Chmod(dir+"/file", 0o600) }, want: []string{"file has changed"}},
		{name: "name", change: func(dir string) error { return os.Rename(dir+"/moved", dir+"/elsewhere") }, want: []string{"moved is gone", "elsewhere is new"}},
		{name: "link", change: func(dir string) error { return os.Link(dir+"/file", dir+"/link") }, want: []string{"file has changed", "link is new"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := changeable(dir, "nonce"); err != nil {
				t.Fatal(err)
			}
			before, err := treeOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			after, err := treeOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := before.changes(after); !slices.Equal(got, c.want) {
				t.Errorf("changes %q, want %q", got, c.want)
			}
			f, err := before.unchanged(dir)
			if err != nil || f.Breached != (len(c.want) > 0) {
				t.Errorf("finding %+v, %v, want a breach: %v", f, err, len(c.want) > 0)
			}
		})
	}
}

func TestMappedExecutable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) //nolint:errcheck // read-only
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		prot int
		want bool
	}{
		{name: "executable", prot: unix.PROT_READ | unix.PROT_EXEC, want: true},
		{name: "readable", prot: unix.PROT_READ, want: false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := unix.Mmap(fd, 0, 4096, c.prot, unix.MAP_PRIVATE)
			if err != nil {
				t.Skipf("the directory for temporary files does not let a file be mapped so: %v", err)
			}
			defer unix.Munmap(m) //nolint:errcheck // a test's
			maps, err := os.ReadFile("/proc/self/maps")
			if err != nil {
				t.Fatal(err)
			}
			if got := mappedExecutable(string(maps), &st); got != c.want {
				t.Errorf("mapped executable: %v, want %v\n%s", got, c.want, maps)
			}
		})
	}
}

func TestNestedTried(t *testing.T) {
	const clone = "clone into a new user namespace"
	for _, c := range []struct {
		name   string
		record attack.Record
		ok     bool
		lacks  bool // a user namespace
	}{
		{name: "nothing tried"},
		{name: "came to it", record: attack.Record{Tries: []attack.Try{{Call: clone}, {Call: "nested: umount /x", Errno: 22}}}, ok: true},
		{name: "ended before", record: attack.Record{Tries: []attack.Try{{Call: clone}}}},
		{name: "stopped by the filter", record: attack.Record{Tries: []attack.Try{{Call: clone, Errno: 1}}, Filtered: true}, ok: true},
		{name: "stopped by something else", record: attack.Record{Tries: []attack.Try{{Call: clone, Errno: 1}}}, lacks: true},
		{name: "cloned, and ended under a filter", record: attack.Record{Tries: []attack.Try{{Call: clone}}, Filtered: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := nestedTried(c.record, "umount "); (err == nil) != c.ok || errors.Is(err, kernel.ErrNotSupported) != c.lacks {
				t.Errorf("got %v, want none: %v", err, c.ok)
			}
		})
	}
}

func TestMountsUnchanged(t *testing.T) {
	for _, c := range []struct {
		name        string
		before, now []string
		breached    bool
		unseen      bool
	}{
		{name: "not looked at", before: []string{"a"}, unseen: true},
		{name: "same", before: []string{"a", "b"}, now: []string{"b", "a"}},
		{name: "made", before: []string{"a"}, now: []string{"a", "b"}, breached: true},
		{name: "gone", before: []string{"a", "b"}, now: []string{"a"}, breached: true},
		{name: "changed", before: []string{"a ro"}, now: []string{"a rw"}, breached: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := mountsUnchanged("mounts", c.before, c.now)
			if f.Breached != c.breached || (err != nil) != c.unseen {
				t.Errorf("%+v, %v, want a breach: %v, an error: %v", f, err, c.breached, c.unseen)
			}
		})
	}
}

// TestInherited: an inherited descriptor is told by its flags, whatever the file's name.
func TestInherited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cpu.max")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		flags int
		want  bool
	}{
		{name: "of the launcher", flags: unix.O_RDWR, want: true},
		{name: "of the launcher, to read", flags: unix.O_RDONLY, want: true},
		{name: "of the launcher, a path", flags: unix.O_PATH, want: true},
		{name: "of the Go runtime", flags: unix.O_RDONLY | unix.O_CLOEXEC},
	} {
		t.Run(c.name, func(t *testing.T) {
			fd, err := unix.Open(path, c.flags, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd) //nolint:errcheck // nothing was written
			if got, err := inherited(os.Getpid(), strconv.Itoa(fd)); err != nil || got != c.want {
				t.Errorf("inherited: %v, %v", got, err)
			}
		})
	}
	for _, stream := range []string{"0", "1", "2"} {
		if got, err := inherited(os.Getpid(), stream); err != nil || got {
			t.Errorf("stream %s: %v, %v", stream, got, err)
		}
	}
	if _, err := inherited(os.Getpid(), "1000000"); err == nil {
		t.Error("no error for a descriptor that is none")
	}
}

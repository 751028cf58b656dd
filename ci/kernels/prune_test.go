package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fill makes a cache with one kernel of a release, as Fetch leaves it.
func fill(t *testing.T, c *Cache, e Entry, release string) {
	t.Helper()
	dir := filepath.Join(c.Dir, key(e))
	modules := filepath.Join(dir, modulesPath(release))
	err := errors.Join(os.MkdirAll(modules, 0o755), os.MkdirAll(filepath.Join(dir, "boot"), 0o755),
		os.MkdirAll(filepath.Join(c.Dir, "apt", e.Suite+"-"+e.Arch, "state"), 0o755),
		os.WriteFile(filepath.Join(c.Dir, "apt", e.Suite+"-"+e.Arch, "state", "index"), make([]byte, 300), 0o644),
		os.WriteFile(filepath.Join(modules, "a.ko"), make([]byte, 100), 0o644),
		os.WriteFile(filepath.Join(dir, imagePath(release)), []byte(bzImage(release)), 0o644), writeManifest(dir, e))
	if err != nil {
		t.Fatal(err)
	}
}

func pinnedEntry(name, suite, version string) Entry {
	return Entry{Name: name, Arch: "amd64", Suite: suite, Package: "linux-image-amd64", Pin: []Deb{{Package: "linux-image-" + version, Version: version, SHA256: sum64}}, File: "matrix.yaml", Line: 3}
}

func TestListAndPrune(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	a, b, absent, unpinned := pinnedEntry("a", "bookworm", "6.1"), pinnedEntry("b", "sid", "7.0"), pinnedEntry("c", "sid", "7.1"), Entry{Name: "d", Arch: "arm64", Suite: "trixie"}
	fill(t, c, a, "6.1")
	fill(t, c, b, "7.0")
	got := c.List([]Entry{a, b, absent, unpinned, {Name: "e", Image: "/nosuch", Arch: "amd64"}})
	for i, want := range []Status{{Release: "6.1", Bytes: 0x400 + 100, Cached: true}, {Release: "7.0", Bytes: 0x400 + 100, Cached: true}, {}, {}} {
		if s := got[i]; s.Release != want.Release || s.Bytes != want.Bytes || s.Cached != want.Cached || s.Err != nil {
			t.Errorf("%d: %+v, want %+v", i, s, want)
		}
	}
	if s := got[4]; s.Cached || s.Err == nil {
		t.Errorf("%+v", s)
	}

	// Ours, and what is not.
	left, foreign, damaged := filepath.Join(c.Dir, unfinished+"x"), filepath.Join(c.Dir, "notes"), filepath.Join(c.Dir, strings.Repeat("0", 64))
	for _, dir := range []string{left, foreign, damaged} {
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "f"), make([]byte, 50), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.WriteFile(victim, nil, 0o644), os.Symlink(victim, filepath.Join(left, "link")), os.Symlink(filepath.Dir(victim), filepath.Join(c.Dir, strings.Repeat("1", 64)))); err != nil {
		t.Fatal(err)
	}
	want := []string{"what was left of a fetch", "a kernel that is damaged", "7.0", "index of sid-amd64"}
	for _, dry := range []bool{true, false} {
		gone, err := c.Prune(t.Context(), []Entry{a}, dry)
		if err != nil {
			t.Fatal(err)
		}
		var what []string
		for _, r := range gone {
			what = append(what, r.What)
			if r.Bytes < 50 || missing(r.Path) == dry {
				t.Errorf("dry %t: %+v", dry, r)
			}
		}
		slices.Sort(what)
		if slices.Sort(want); !slices.Equal(what, want) {
			t.Errorf("dry %t: %q, want %q", dry, what, want)
		}
	}
	for _, path := range []string{foreign, victim, filepath.Join(c.Dir, "lock"), filepath.Join(c.Dir, "apt", "bookworm-amd64", "state", "index")} {
		if missing(path) {
			t.Errorf("%s is gone", path)
		}
	}
	if k, err := c.Load(a); err != nil || k.Release != "6.1" {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := c.Load(b); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
	if gone, err := c.Prune(t.Context(), []Entry{a}, false); err != nil || len(gone) > 0 {
		t.Errorf("%+v, %v", gone, err)
	}
	if gone, err := (&Cache{Dir: filepath.Join(c.Dir, "nosuch")}).Prune(t.Context(), nil, false); err != nil || len(gone) > 0 || !missing(filepath.Join(c.Dir, "nosuch")) {
		t.Errorf("%+v, %v", gone, err)
	}
}

// TestKey: whatever differs is another kernel.
func TestKey(t *testing.T) {
	seen := map[string]bool{}
	base := pinnedEntry("a", "sid", "1")
	for _, e := range []Entry{
		base, {Arch: "arm64", Pin: base.Pin}, pinnedEntry("a", "sid", "2"),
		{Arch: "amd64", Pin: []Deb{{Package: "linux-image-1", Version: "1", SHA256: strings.Repeat("1", 64)}}}, {Arch: "amd64", Pin: append(slices.Clone(base.Pin), base.Pin...)},
	} {
		if k := key(e); seen[k] || !aKey.MatchString(k) {
			t.Errorf("%+v: %s", e, k)
		}
		seen[key(e)] = true
	}
	other := base
	other.Name, other.Suite, other.Line = "b", "trixie", 9
	if key(other) != key(base) {
		t.Error("the same packages under another name are another kernel")
	}
}

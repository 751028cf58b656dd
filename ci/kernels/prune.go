package kernels

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Status is what List knows of an entry.
type Status struct {
	Entry   Entry
	Release string // empty where the kernel is not there
	Bytes   int64  // on the disk, of its image and modules
	Cached  bool   // there and whole: no network is needed
	Err     error  // of one that is there and cannot be used
}

// List says of each entry whether it is there. It changes nothing and needs no network.
func (c *Cache) List(entries []Entry) []Status {
	var list []Status
	for _, e := range entries {
		s := Status{Entry: e}
		k, err := c.Load(e)
		switch {
		case err == nil:
			s.Cached, s.Release = true, k.Release
			for _, path := range []string{k.Image, k.Modules} {
				if part, err := measure(path); path != "" && err == nil {
					s.Bytes += part.Bytes
				}
			}
		case !errors.Is(err, ErrAbsent) && !errors.Is(err, ErrUnpinned):
			s.Err = err
		}
		list = append(list, s)
	}
	return list
}

// Removed is one thing that Prune has removed.
type Removed struct {
	What  string // "6.1.0-50-cloud-amd64", "what was left of a fetch", "index of sid-amd64"
	Path  string
	Bytes int64
}

// Prune removes what no entry names: kernels, indexes of suites, and what killed processes have left.
// What it does not know stays. With dry it only says what it would remove.
func (c *Cache) Prune(ctx context.Context, entries []Entry, dry bool) (gone []Removed, err error) {
	if missing(c.Dir) {
		return nil, nil
	}
	unlock, err := c.lock(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	keep := map[string]bool{}
	for _, e := range entries {
		keep[key(e)] = true
		keep[e.Suite+"-"+e.Arch] = true
	}
	found, err := c.candidates()
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if keep[filepath.Base(r.Path)] {
			continue
		}
		s, err := measure(r.Path)
		if err == nil && !dry {
			err = os.RemoveAll(r.Path)
		}
		if err != nil {
			return gone, fmt.Errorf("remove %s: %w", r.Path, err)
		}
		r.Bytes = s.Bytes
		gone = append(gone, r)
	}
	return gone, nil
}

// candidates are the directories that we have made.
func (c *Cache) candidates() ([]Removed, error) {
	var list []Removed
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the cache of kernels: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(c.Dir, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), unfinished):
			list = append(list, Removed{What: "what was left of a fetch", Path: path})
		case aKey.MatchString(e.Name()):
			what := "a kernel that is damaged"
			if m, err := readManifest(path); err == nil {
				what = m.Release
			}
			list = append(list, Removed{What: what, Path: path})
		}
	}
	indexes, err := os.ReadDir(filepath.Join(c.Dir, "apt"))
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	for _, e := range indexes {
		if e.IsDir() {
			list = append(list, Removed{What: "index of " + e.Name(), Path: filepath.Join(c.Dir, "apt", e.Name())})
		}
	}
	return list, err
}

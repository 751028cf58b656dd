package sentinel

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// tree is what the kernel shows of everything below a directory: path to a line of mode, owner,
// links, device, size and content.
type tree map[string]string

// treeOf reads a directory of the harness's own making. It follows no symbolic link.
func treeOf(dir string) (tree, error) {
	t := tree{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("no stat(2) result")
		}
		line := fmt.Sprintf("mode %o uid %d gid %d links %d rdev %d", st.Mode, st.Uid, st.Gid, st.Nlink, st.Rdev)
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" size %d sha256 %x", len(b), sha256.Sum256(b))
		}
		name, err := filepath.Rel(dir, path)
		t[name] = line
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look at the bait: %w", err)
	}
	return t, nil
}

// changes names what differs between two looks, sorted.
func (t tree) changes(after tree) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		switch now, ok := after[name]; {
		case !ok:
			names = append(names, name+" is gone")
		case now != t[name]:
			names = append(names, name+" has changed")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, ok := t[name]; !ok {
			names = append(names, name+" is new")
		}
	}
	return names
}

// unchanged is a finding on a directory that was looked at before.
func (t tree) unchanged(dir string) (Finding, error) {
	now, err := treeOf(dir)
	if err != nil {
		return Finding{}, err
	}
	if c := t.changes(now); len(c) > 0 {
		return Finding{Breached: true, Evidence: fmt.Sprintf("%d changes on the host: %s", len(c), strings.Join(c, ", "))}, nil
	}
	return Finding{Evidence: fmt.Sprintf("none of %d entries on the host has changed", len(t))}, nil
}

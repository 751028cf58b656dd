package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// node is a file in the guest's root, before it is written.
type node struct {
	mode         uint32 // type and permissions
	target       string // of a link
	source       string // path of a file on this host
	text         []byte // content, without a source
	major, minor uint32
}

// tree is the guest's root by path, without the slash in front.
type tree map[string]node

func directory(mode uint32) node   { return node{mode: unix.S_IFDIR | mode} }
func symlink(target string) node   { return node{mode: unix.S_IFLNK | 0o777, target: target} }
func text(b []byte) node           { return node{mode: unix.S_IFREG | 0o644, text: b} }
func file(source string) node      { return node{mode: unix.S_IFREG | 0o644, source: source} }
func (n node) is(kind uint32) bool { return n.mode&unix.S_IFMT == kind }
func device(major, minor uint32) node {
	return node{mode: unix.S_IFCHR | 0o600, major: major, minor: minor}
}

// put adds a node. Links on the way are followed, so that /bin/sh lies in /usr/bin where /bin
// is a link there: the kernel would follow them too, but only after their targets were made.
func (t tree) put(name string, n node) error {
	if !path.IsAbs(name) || path.Clean(name) == "/" || strings.ContainsRune(name, 0) {
		return fmt.Errorf("put %q into the guest: it must be an absolute path of a file", name)
	}
	dir, err := t.dir(path.Dir(path.Clean(name)), 0)
	if err != nil {
		return fmt.Errorf("put %s into the guest: %w", name, err)
	}
	at := path.Join(dir, path.Base(name))
	if old, ok := t[at]; ok && old.is(unix.S_IFDIR) != n.is(unix.S_IFDIR) && t.hasBelow(at) {
		return fmt.Errorf("put %s into the guest: it is a directory with files, and cannot be something else", name)
	}
	t[at] = n
	return nil
}

// dir returns where the directory of an absolute path lies, and makes it.
func (t tree) dir(name string, depth int) (string, error) {
	const most = 40 // as the kernel, path_resolution(7)
	if depth > most {
		return "", unix.ELOOP
	}
	at := ""
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	for i, part := range parts {
		below := path.Join(at, part)
		n, ok := t[below]
		switch {
		case !ok:
			t[below] = directory(0o755)
		case n.is(unix.S_IFLNK):
			to := n.target
			if !path.IsAbs(to) {
				to = path.Join("/", at, to)
			}
			return t.dir(path.Join(append([]string{to}, parts[i+1:]...)...), depth+1)
		case !n.is(unix.S_IFDIR):
			return "", fmt.Errorf("/%s: %w", below, unix.ENOTDIR)
		}
		at = below
	}
	return at, nil
}

func (t tree) hasBelow(at string) bool {
	for name := range t {
		if strings.HasPrefix(name, at+"/") {
			return true
		}
	}
	return false
}

// write writes the tree as an archive. A directory comes before what is in it.
func (t tree) write(w io.Writer) error {
	a := &archive{w: w}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if err := t[name].write(a, name); err != nil {
			return err
		}
	}
	return a.close()
}

func (n node) write(a *archive, name string) (err error) {
	e := entry{name: name, mode: n.mode, major: n.major, minor: n.minor}
	switch {
	case n.is(unix.S_IFLNK):
		e.size, e.body = int64(len(n.target)), strings.NewReader(n.target)
	case n.source == "":
		e.size, e.body = int64(len(n.text)), bytes.NewReader(n.text)
	default:
		f, err := os.Open(n.source)
		if err != nil {
			return fmt.Errorf("archive %s: %w", name, err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		info, err := f.Stat()
		if err != nil {
			return fmt.Errorf("archive %s: %w", name, err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("archive %s: %s is not a file", name, n.source)
		}
		e.mode |= uint32(info.Mode().Perm()) & 0o111
		e.size, e.body = info.Size(), f
	}
	return a.add(e)
}

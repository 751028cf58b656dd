package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mirror copies files of the host into a tree under the same path.
type mirror struct {
	host  string // prefix of every path of the host; empty but for tests
	tree  tree
	files []File
	index map[string]int // of files, by path
}

// maxLinks is the kernel's MAXSYMLINKS, path_resolution(7).
const maxLinks = 40

// bring copies the absolute path name, and each symbolic link on the way as a link. It returns
// the path without links. By says who needs it. A directory is made, but its content stays.
func (m *mirror) bring(name, by string) (string, error) {
	real, rest, links := "", strings.Split(name, "/"), 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			real = strings.TrimSuffix(path.Dir("/"+real), "/")
			continue
		}
		next := real + "/" + part
		info, err := os.Lstat(m.host + next)
		if err != nil {
			return "", err
		}
		switch mode := info.Mode(); {
		case mode&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", fmt.Errorf("follow %q: %w", name, unix.ELOOP)
			}
			target, err := m.link(next, by)
			if err != nil {
				return "", err
			}
			if strings.HasPrefix(target, "/") {
				real = ""
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		case mode.IsDir():
			if err := m.tree.mkdir(next[1:], 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
				return "", fmt.Errorf("make %q: %w", next, err)
			}
		case mode.IsRegular() && len(rest) == 0:
			if err := m.file(next, by); err != nil {
				return "", fmt.Errorf("copy %q: %w", next, err)
			}
		default:
			return "", fmt.Errorf("%q: not a regular file", next)
		}
		real = next
	}
	return real, nil
}

func (m *mirror) isLink(name string) bool {
	info, err := os.Lstat(m.host + name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// open follows links, inside the prefix.
func (m *mirror) open(name string) (*os.File, error) {
	if m.host == "" {
		return os.Open(name)
	}
	root, err := os.Open(m.host)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	fd, err := tree{fd: int(root.Fd())}.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// known says whether path is there already, and notes who else needs it.
func (m *mirror) known(name, by string) bool {
	i, ok := m.index[name]
	if ok && !slices.Contains(m.files[i].For, by) {
		m.files[i].For = append(m.files[i].For, by)
	}
	return ok
}

func (m *mirror) record(f File) {
	m.index[f.Path] = len(m.files)
	m.files = append(m.files, f)
}

func (m *mirror) link(name, by string) (target string, err error) {
	target, err = os.Readlink(m.host + name)
	if err != nil || m.known(name, by) {
		return target, err
	}
	err = m.tree.at(name[1:], false, func(dir int, base string) error { return unix.Symlinkat(target, dir, base) })
	if err != nil {
		return "", fmt.Errorf("link %q: %w", name, err)
	}
	m.record(File{Path: name, Target: target, For: []string{by}})
	return target, nil
}

func (m *mirror) file(name, by string) (err error) {
	if m.known(name, by) {
		return nil
	}
	from, err := os.Open(m.host + name)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // nothing was written
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := m.tree.create(name[1:])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	// io.Copy uses copy_file_range(2) where FICLONE cannot share the blocks.
	if unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) != nil {
		if _, err := io.Copy(to, from); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := to.Chmod(mode); err != nil {
		return err
	}
	m.record(File{Path: name, Size: info.Size(), For: []string{by}})
	return nil
}

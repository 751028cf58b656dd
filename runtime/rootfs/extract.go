package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// extractor writes the entries of tars into a tree.
type extractor struct {
	tree
	headers    *budget // what may be read, headers included
	whiteouts  *budget // the same, for the first reading of layers
	content    *budget // what may be written: a sparse file is larger than its stream
	keepSetuid bool
	owners     bool
	skipped    []Skipped
}

func newExtractor(t tree, o ArchiveOptions) *extractor {
	x := &extractor{tree: t, headers: o.budget(), whiteouts: o.budget(), content: o.budget(), keepSetuid: o.KeepSetuid, owners: os.Geteuid() == 0}
	x.made = x.content.takeEntry
	return x
}

func (x *extractor) plain(r io.Reader) error { return eachEntry(r, x.headers, io.Discard, x.entry) }

func (x *extractor) skip(why, name string) {
	for i := range x.skipped {
		if x.skipped[i].Why == why {
			x.skipped[i].Count++
			return
		}
	}
	x.skipped = append(x.skipped, Skipped{Why: why, Count: 1, First: name})
}

// entry unpacks one entry. What was there under the name goes, unless both are directories.
func (x *extractor) entry(name string, h *tar.Header, content io.Reader) error {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			x.skip("extended attributes", name)
			break
		}
	}
	if name == "" {
		if h.Typeflag == tar.TypeDir {
			return nil // the root: its owner and mode are ours
		}
		return errors.New("takes the place of the root directory")
	}
	switch h.Typeflag {
	case tar.TypeChar, tar.TypeBlock:
		x.skip("device node", name)
		return nil
	case tar.TypeLink:
		return x.hardLink(name, h)
	case tar.TypeDir, tar.TypeReg, tar.TypeGNUSparse, tar.TypeSymlink, tar.TypeFifo:
	default:
		return fmt.Errorf("unknown type %q", h.Typeflag)
	}
	mode, err := x.mode(name, h)
	if err != nil {
		return err
	}
	return x.at(name, true, func(dir int, base string) error {
		exists, err := replace(dir, base, h.Typeflag == tar.TypeDir)
		if err != nil {
			return err
		}
		if !exists {
			if err := x.content.takeEntry(); err != nil {
				return err
			}
		}
		switch h.Typeflag {
		case tar.TypeDir:
			if !exists {
				if err := unix.Mkdirat(dir, base, 0o700); err != nil {
					return err
				}
			}
			if !x.owners {
				mode |= 0o700 // or we could neither fill nor remove it
			}
		case tar.TypeSymlink:
			if err := unix.Symlinkat(h.Linkname, dir, base); err != nil {
				return err
			}
			return x.chown(dir, base, h)
		case tar.TypeFifo:
			if err := unix.Mknodat(dir, base, unix.S_IFIFO|0o600, 0); err != nil {
				return err
			}
		default:
			return x.file(dir, base, mode, h, content)
		}
		// A plain name that we made or that is a directory, so there is no link to follow.
		// Owner first: chown(2) clears bits of the mode.
		if err := x.chown(dir, base, h); err != nil {
			return err
		}
		return unix.Fchmodat(dir, base, mode, 0)
	})
}

func (x *extractor) mode(name string, h *tar.Header) (uint32, error) {
	// int(-1) tells chown to leave it, and an id is 32 bits.
	if !validID(h.Uid) || !validID(h.Gid) {
		return 0, fmt.Errorf("owner %d:%d is out of range", h.Uid, h.Gid)
	}
	mode := uint32(h.Mode) & 0o7777
	const setuid = unix.S_ISUID | unix.S_ISGID
	if mode&setuid != 0 && !x.keepSetuid {
		x.skip("setuid or setgid bit", name)
		mode &^= setuid
	}
	return mode, nil
}

func validID(id int) bool { return id >= 0 && int64(id) < 1<<32-1 }

func (x *extractor) chown(dir int, base string, h *tar.Header) error {
	if !x.owners {
		return nil
	}
	return unix.Fchownat(dir, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW)
}

func (x *extractor) file(dir int, base string, mode uint32, h *tar.Header, content io.Reader) (err error) {
	if err := x.content.takeBytes(h.Size); err != nil {
		return err
	}
	fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	if x.owners {
		if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return err
	}
	at := unix.Timespec{Sec: h.ModTime.Unix(), Nsec: int64(h.ModTime.Nanosecond())}
	return unix.UtimesNanoAt(dir, base, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}

// hardLink links to what is in the tree already; both names are resolved inside it.
func (x *extractor) hardLink(name string, h *tar.Header) error {
	target, err := plainName(h.Linkname)
	if err == nil && target == "" {
		err = errors.New("not a file")
	}
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(h.Linkname), err)
	}
	err = x.at(target, false, func(from int, old string) error {
		var a, b unix.Stat_t
		if err := unix.Fstatat(from, old, &a, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		return x.at(name, true, func(dir int, base string) error {
			err := unix.Fstatat(dir, base, &b, unix.AT_SYMLINK_NOFOLLOW)
			if err == nil && a.Dev == b.Dev && a.Ino == b.Ino {
				return nil // to itself
			}
			if _, err := replace(dir, base, false); err != nil {
				return err
			}
			if err := x.content.takeEntry(); err != nil {
				return err
			}
			return unix.Linkat(from, old, dir, base, 0)
		})
	})
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(h.Linkname), err)
	}
	return nil
}

// replace removes base from dir. With keep, a directory stays, and exists is true.
func replace(dir int, base string, keep bool) (exists bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if keep && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return true, nil
	}
	return false, removeAt(dir, base)
}

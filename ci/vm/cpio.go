package vm

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"golang.org/x/sys/unix"
)

// archive writes a cpio archive in the format "newc", which is what the kernel unpacks:
// buffer-format.rst of the kernel (Documentation/driver-api/early-userspace) and cpio(5).
// The kernel takes nothing else from it than what entry is given: no times, no owners but root.
type archive struct {
	w     io.Writer
	inode uint32
	n     int64 // bytes written
}

// entry is a member of an archive.
type entry struct {
	name         string // without a leading slash
	mode         uint32 // type and permissions, as in stat(2)
	size         int64  // of body
	body         io.Reader
	major, minor uint32 // of a device
}

const (
	newcMagic = "070701"
	trailer   = "TRAILER!!!"
)

// add writes a member. A body that is shorter than its size is an error, and what is longer is
// cut off: the file has changed meanwhile.
func (a *archive) add(e entry) error {
	switch {
	case e.size < 0 || e.size > math.MaxUint32:
		return fmt.Errorf("archive %s: %d bytes: the format has room for 4 GiB", e.name, e.size)
	case len(e.name)+1 > unix.PathMax:
		return fmt.Errorf("archive %.40s...: the name has %d bytes: the kernel reads %d", e.name, len(e.name), unix.PathMax-1)
	case e.name == "" || e.name == trailer || strings.HasPrefix(e.name, "/") || strings.ContainsRune(e.name, 0):
		return fmt.Errorf("archive %q: no name for a file", e.name)
	}
	a.inode++
	return a.write(e, a.inode)
}

func (a *archive) write(e entry, inode uint32) error {
	const links = 1 // more would mean that others with this inode are the same file
	_, err := fmt.Fprintf(counter{a}, "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		newcMagic, inode, e.mode, 0, 0, links, 0, e.size, 0, 0, e.major, e.minor, len(e.name)+1, 0, e.name)
	if err == nil {
		err = a.pad(4)
	}
	if err == nil && e.size > 0 {
		_, err = io.CopyN(counter{a}, e.body, e.size)
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("it has become shorter than %d bytes while it was read", e.size)
		}
	}
	if err == nil {
		err = a.pad(4)
	}
	if err != nil {
		return fmt.Errorf("archive %s: %w", e.name, err)
	}
	return nil
}

// close writes the end.
func (a *archive) close() error {
	if err := a.write(entry{name: trailer}, 0); err != nil {
		return err
	}
	return a.pad(512) // the block of cpio(1), which warns without
}

func (a *archive) pad(to int64) error {
	if rest := a.n % to; rest != 0 {
		_, err := counter{a}.Write(make([]byte, to-rest))
		return err
	}
	return nil
}

// counter writes to the archive and counts.
type counter struct{ a *archive }

func (c counter) Write(p []byte) (int, error) {
	n, err := c.a.w.Write(p)
	c.a.n += int64(n)
	return n, err
}

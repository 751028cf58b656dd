package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Whiteouts of the OCI image-spec, layer.md.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	aufs     = ".wh..wh." // other files of aufs, which mean nothing here
)

// layer applies one layer on top of what is there and checks its diff_id. It reads the layer
// twice: whiteouts hide only what lower layers hold, wherever in the archive they stand, so they
// come first.
func (x *extractor) layer(f io.ReadSeeker, diffID digest) error {
	if err := eachEntry(f, x.whiteouts, io.Discard, x.hide); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := diffID.hash()
	err := eachEntry(f, x.headers, sum, func(name string, h *tar.Header, content io.Reader) error {
		if strings.HasPrefix(path.Base(name), whiteout) {
			return nil
		}
		return x.entry(name, h, content)
	})
	if err != nil {
		return err
	}
	return diffID.check(sum)
}

// hide removes what the whiteout name hides. Nothing there, or no directory: nothing to hide.
func (x *extractor) hide(name string, _ *tar.Header, _ io.Reader) error {
	parent, base := split(name)
	var err error
	switch {
	case base == opaque:
		err = x.clear(parent)
	case strings.HasPrefix(base, aufs) || !strings.HasPrefix(base, whiteout):
		return nil
	default:
		hidden := strings.TrimPrefix(base, whiteout)
		if hidden == "" || hidden == "." || hidden == ".." {
			return errors.New("whiteout of no name")
		}
		err = x.at(joinName(parent, hidden), false, removeAt)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// clear removes all that a directory holds.
func (x *extractor) clear(name string) error {
	fd, err := x.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close() //nolint:errcheck // nothing was written
	if err := x.inside(fd); err != nil {
		return err
	}
	r := remover{top: fd}
	return r.empty(dir, 0)
}

func joinName(parent, base string) string {
	if parent == "" {
		return base
	}
	return fmt.Sprintf("%s/%s", parent, base)
}

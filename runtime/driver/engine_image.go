package driver

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// imageable returns an error if a root directory has what no image can: tar(5) knows no sockets.
func imageable(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has gone meanwhile
			return nil
		case err != nil:
			return fmt.Errorf("look at the root directory: %w", err)
		case e.Type() == fs.ModeSocket:
			return kernel.Unsupported("an image holds no socket: %s", path)
		}
		return nil
	})
}

// fileCapabilities is the extended attribute that a copy of a program needs as well: capabilities(7).
const fileCapabilities = "security.capability"

// writeImage writes a root directory as a tar, for docker import. It follows no link out of it.
func writeImage(dir string, to io.Writer) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("read the root directory: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	w := tar.NewWriter(to)
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return writeEntry(w, root, path, info)
	})
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return w.Close()
}

func writeEntry(w *tar.Writer, root *os.Root, path string, info fs.FileInfo) (err error) {
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = root.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Format = path, tar.FormatPAX
	h.Uname, h.Gname = "", "" // the ids are what counts
	if !info.Mode().IsRegular() {
		return w.WriteHeader(h)
	}
	f, err := root.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()           //nolint:errcheck // read-only
	value := make([]byte, 64) // more than a struct vfs_ns_cap_data
	if n, err := unix.Fgetxattr(int(f.Fd()), fileCapabilities, value); err == nil {
		h.PAXRecords = map[string]string{"SCHILY.xattr." + fileCapabilities: string(value[:n])}
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

package kernels

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"cellwall/runtime/rootfs"
)

// Bounds of what the packages of one kernel may unpack to: far more than any has.
const (
	maxUnpacked = 4 << 30 // bytes
	maxFiles    = 1 << 17
)

// unpack makes a directory below dir with boot/vmlinuz-RELEASE and lib/modules/RELEASE of some .deb
// files, and nothing else of them: no other file, no symbolic link, no device.
func unpack(ctx context.Context, dir string, debs []string) (_ *rootfs.Image, err error) {
	f, err := os.CreateTemp(dir, "*.tar")
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	out := tar.NewWriter(f)
	for _, deb := range debs {
		if err := filterDeb(ctx, out, deb); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
		}
	}
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return rootfs.Archive(dir, f.Name(), rootfs.ArchiveOptions{Bytes: maxUnpacked, Entries: maxFiles})
}

// filterDeb copies what is needed of one package. dpkg-deb knows every way in which one may be
// compressed.
func filterDeb(ctx context.Context, out *tar.Writer, deb string) error {
	program, err := exec.LookPath("dpkg-deb")
	if err != nil {
		return errors.New("dpkg-deb is not on this host: it is Debian's, in package dpkg; name the kernel by its path instead")
	}
	var errs strings.Builder
	cmd := exec.CommandContext(ctx, program, "--fsys-tarfile", deb) // it ends with our end of its pipe
	cmd.Stderr = &errs
	in, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	wrong := filter(out, in)
	if wrong != nil {
		in.Close() //nolint:errcheck // it must not wait for us for ever
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && errs.Len() > 0:
		return errors.New(strings.Join(strings.Fields(errs.String()), " "))
	case wrong != nil:
		return wrong
	}
	return err
}

// filter copies files and directories of one kernel from tar to tar, to the end of the input.
func filter(out *tar.Writer, in io.Reader) error {
	t := tar.NewReader(io.LimitReader(in, maxUnpacked))
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, in)
			return err
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("read its files: %w", err)
		}
		name := needed(h.Name)
		if name == "" {
			continue
		}
		next := tar.Header{Typeflag: h.Typeflag, Name: name, Mode: h.Mode & 0o777, ModTime: h.ModTime}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
			next.Typeflag, next.Size = tar.TypeReg, h.Size
		case tar.TypeLink:
			if next.Linkname = needed(h.Linkname); next.Linkname == "" {
				return fmt.Errorf("%.200q is a link to %.200q, which is no part of a kernel", h.Name, h.Linkname)
			}
		case tar.TypeDir:
		default:
			continue // a link to the sources, at most
		}
		err = out.WriteHeader(&next)
		if err == nil && next.Typeflag == tar.TypeReg {
			_, err = io.Copy(out, t)
		}
		if err != nil {
			return fmt.Errorf("copy %.200q: %w", h.Name, err)
		}
	}
}

// needed is the name under which we keep a file of a package; empty: not at all. Debian has moved
// the modules below /usr, and with 6.17 the kernel beside them.
func needed(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	name = strings.TrimPrefix(name, "usr/")
	parts := strings.Split(name, "/")
	switch {
	case len(parts) == 2 && parts[0] == "boot":
		if release, ok := strings.CutPrefix(parts[1], image); ok && aRelease.MatchString(release) {
			return name
		}
	case len(parts) >= 3 && parts[0] == "lib" && parts[1] == "modules" && aRelease.MatchString(parts[2]):
		if len(parts) == 4 && parts[3] == "vmlinuz" {
			return imagePath(parts[2])
		}
		return name
	}
	return ""
}

const image = "vmlinuz-"

func imagePath(release string) string   { return "boot/" + image + release }
func modulesPath(release string) string { return "lib/modules/" + release }

package rootfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Image is a root directory unpacked from an archive.
type Image struct {
	*Root
	// Config is what the image says about its process. Nil for a plain tar.
	Config *Config
	// Digest is that of the image's manifest, or of its config where there is no manifest
	// (docker save). Empty for a plain tar.
	Digest string
	// Skipped is what the archive holds and the directory does not, or not so.
	Skipped []Skipped
}

// Config is the part of an OCI image configuration that says how to run it. It comes from the
// archive: hostile text.
type Config struct {
	Entrypoint []string
	Cmd        []string // appended to Entrypoint
	Env        []string // NAME=value
	WorkingDir string
	User       string // user, uid, user:group or uid:gid; names are of the image's /etc/passwd
}

// Skipped counts entries that were left out or changed for one reason.
type Skipped struct {
	Why   string
	Count int
	First string // name of the first one: hostile text
}

// ArchiveOptions is how to unpack. The zero value is for an archive from anywhere.
type ArchiveOptions struct {
	// Ref chooses among several images in one archive: a tag, as the archive's annotation
	// org.opencontainers.image.ref.name or docker's RepoTags spell it.
	Ref string
	// Bytes bounds the unpacked size of all layers, and again that of an archive of an image.
	// 0 means 8 GiB.
	Bytes int64
	// Entries bounds the files and directories. 0 means 1,048,576.
	Entries int
	// KeepSetuid keeps setuid and setgid bits. They are dangerous where a user of the host can
	// reach the directory.
	KeepSetuid bool
}

func (o ArchiveOptions) budget() *budget {
	b := &budget{bytes: 8 << 30, entries: 1 << 20}
	if o.Bytes > 0 {
		b.bytes = o.Bytes
	}
	if o.Entries > 0 {
		b.entries = o.Entries
	}
	b.maxBytes, b.maxEntries = b.bytes, b.entries
	return b
}

// Archive makes a root directory below dir from a tar, an OCI image layout (a directory or a
// tar of it, oci-archive), or the tar of `docker save`. Tars may be compressed with gzip or zstd.
//
// Of an image, the one for this architecture is taken; every blob is checked against its digest
// before it is parsed, and every layer against its diff_id. The archive may be hostile: names
// are resolved with openat2(2) and RESOLVE_IN_ROOT, so nothing outside is read or written;
// names with ".." are refused; device nodes and extended attributes (file capabilities) are left
// out; sizes are bounded. Owners are set only if the caller is root.
//
// Unpacking is done here and not by a library: umoci's oci/layer is clean and without cgo, but
// brings 16 modules, and knows no bound of bytes or entries.
func Archive(dir, path string, o ArchiveOptions) (_ *Image, err error) {
	image, err := archive(dir, path, o)
	if err != nil {
		return nil, fmt.Errorf("archive %q: %w", path, err)
	}
	return image, nil
}

func archive(dir, path string, o ArchiveOptions) (_ *Image, err error) {
	// O_NONBLOCK: a FIFO must not hang us.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("no such file or directory%w", silent{err})
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return unpackLayout(dir, layout{tree{fd: fd}}, o)
	case !info.Mode().IsRegular():
		return nil, errors.New("neither a regular file nor a directory")
	}
	isImage, err := scan(f, o.budget())
	if err != nil {
		return nil, err
	}
	if isImage {
		return unpackImageArchive(dir, f, o)
	}
	r, t, err := newRoot(dir)
	if err != nil {
		return nil, err
	}
	defer r.undo.OnError(&err)
	x := newExtractor(t, o)
	if err := x.plain(f); err != nil {
		return nil, err
	}
	return &Image{Root: r, Skipped: x.skipped}, nil
}

// unpackImageArchive first unpacks the layout, because its blobs come in any order.
func unpackImageArchive(dir string, f *os.File, o ArchiveOptions) (_ *Image, err error) {
	staging, t, err := newRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, staging.Close()) }()
	x := newExtractor(t, ArchiveOptions{Bytes: o.Bytes, Entries: o.Entries})
	if err := x.plain(f); err != nil {
		return nil, err
	}
	return unpackLayout(dir, layout{t}, o)
}

package cgroup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// dir is a group's directory in one hierarchy.
type dir struct {
	fd   int    // O_RDONLY|O_DIRECTORY
	path string // on the host, for messages and bind mounts
	top  string // the mount point that it was found below
	// v2 or, on v1, the controllers of the hierarchy.
	v2          bool
	controllers []string
	tasks       int // v1 "tasks", open for writing; -1 until Join asks
}

func openDir(h *dir, at int, name, host string) (*dir, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("open cgroup %s: %w", host, err)
	}
	return &dir{fd: fd, path: host, top: h.top, v2: h.v2, controllers: h.controllers, tasks: -1}, nil
}

// openHost opens the directory of m at an absolute path and makes sure that it is a cgroup: a
// later mount may hide it.
func openHost(m mount, host string) (*dir, error) {
	d, err := openDir(&dir{top: m.point, v2: m.v2, controllers: m.controllers}, unix.AT_FDCWD, host, host)
	if err != nil {
		return nil, err
	}
	if v2, err := isCgroup(d.fd); err != nil || v2 != m.v2 {
		d.close()
		return nil, errors.Join(err, kernel.Unsupported("%s is hidden by another mount", host))
	}
	return d, nil
}

// isCgroup returns whether a descriptor is of cgroup2; an error if of no cgroup at all.
func isCgroup(fd int) (v2 bool, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return false, fmt.Errorf("statfs: %w", err)
	}
	switch int64(st.Type) {
	case unix.CGROUP2_SUPER_MAGIC:
		return true, nil
	case unix.CGROUP_SUPER_MAGIC:
		return false, nil
	}
	return false, errors.New("not a cgroup file system")
}

// below is the directory's path below its mount point: "/" or "/a/b".
func (d *dir) below() string { return path.Join("/", strings.TrimPrefix(d.path, d.top)) }

func (d *dir) close() {
	_ = unix.Close(d.fd)
	if d.tasks >= 0 {
		_ = unix.Close(d.tasks)
	}
	d.fd, d.tasks = -1, -1
}

func (d *dir) open(file string, flags int) (int, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, file, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, d.wrap("open", file, err)
	}
	return fd, nil
}

// read returns a file of the group without the last newline.
func (d *dir) read(file string) (string, error) {
	fd, err := d.open(file, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	var all []byte
	var page [4096]byte
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, page[:]) })
		if err != nil {
			return "", d.wrap("read", file, err)
		}
		if n == 0 {
			return strings.TrimSuffix(string(all), "\n"), nil
		}
		all = append(all, page[:n]...)
	}
}

// write writes value in one call, as the kernel's control files want it.
func (d *dir) write(file, value string) error {
	fd, err := d.open(file, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	n, err := retry(func() (int, error) { return unix.Write(fd, []byte(value)) })
	if err != nil {
		return d.wrap(fmt.Sprintf("write %q to", value), file, err)
	}
	if n != len(value) {
		return d.wrap(fmt.Sprintf("write %q to", value), file, io.ErrShortWrite)
	}
	return nil
}

func (d *dir) has(file string) bool {
	return unix.Faccessat(d.fd, file, unix.F_OK, 0) == nil
}

// wrap names the file and, where there is one, the way out.
func (d *dir) wrap(verb, file string, err error) error {
	where := path.Join(d.path, file)
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%s %s: %w: %w", verb, where, kernel.ErrNotSupported, err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%s %s: %w: mount cgroups writable, or run without limits", verb, where, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s %s: %w: run as root, or have the group delegated to uid %d", verb, where, err, os.Geteuid())
	}
	return fmt.Errorf("%s %s: %w", verb, where, err)
}

// entries lists the directory: files or, if groups, the groups directly below.
func (d *dir) entries(groups bool) ([]string, error) {
	// A fresh description: the position of d.fd belongs to all who hold it.
	fd, err := d.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close() //nolint:errcheck // nothing was written
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("list cgroup: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() == groups {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d *dir) children() ([]string, error) { return d.entries(true) }

func (d *dir) files() ([]string, error) { return d.entries(false) }

// walk calls f for d and every group below it, children first. A group that vanishes meanwhile
// is passed over.
func (d *dir) walk(f func(*dir) error) error {
	names, err := d.children()
	if err != nil && !gone(err) {
		return err
	}
	for _, name := range names {
		c, err := openDir(d, d.fd, name, path.Join(d.path, name))
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		err = c.walk(f)
		c.close()
		if err != nil {
			return err
		}
	}
	return f(d)
}

// gone reports whether an error says that the group has been removed: ENODEV is what reading
// from a removed group gives.
func gone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) }

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR { //nolint:errorlint // a raw errno
			return n, err
		}
	}
}

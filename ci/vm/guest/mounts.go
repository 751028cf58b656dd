package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// point is a file system that a system is expected to have mounted.
type point struct {
	path, kind string
	flags      uintptr
	data       string
	// optional: a kernel may have been built without it, and then there is a note.
	optional bool
}

const (
	noSet  = unix.MS_NOSUID
	noDev  = unix.MS_NODEV
	noExec = unix.MS_NOEXEC
)

// basic are mounted first: devices and modules are found there.
var basic = []point{
	{path: "/proc", kind: "proc", flags: noSet | noDev | noExec},
	{path: "/sys", kind: "sysfs", flags: noSet | noDev | noExec},
	{path: "/dev", kind: "devtmpfs", flags: noSet},
}

// others are mounted in the root directory that stays, with the options of systemd. Those that
// the kernel has only one of get no options, which would change it for everybody. /run and /tmp
// are none: they would be nosuid and nodev, and what containers are made of lies there, of which
// set-user-ID programs and device nodes must work where nothing forbids it.
var others = []point{
	{path: "/dev/pts", kind: "devpts", flags: noSet | noExec, data: "mode=620,ptmxmode=666,gid=5"},
	{path: "/dev/shm", kind: "tmpfs", flags: noSet | noDev, data: "mode=1777"},
	{path: "/dev/mqueue", kind: "mqueue", flags: noSet | noDev | noExec, optional: true},
	{path: "/dev/hugepages", kind: "hugetlbfs", flags: noSet | noDev, optional: true},
	{path: "/sys/kernel/security", kind: "securityfs", flags: noSet | noDev | noExec, optional: true},
	{path: "/sys/kernel/debug", kind: "debugfs", flags: noSet | noDev | noExec, optional: true},
	{path: "/sys/kernel/tracing", kind: "tracefs", flags: noSet | noDev | noExec, optional: true},
	{path: "/sys/fs/bpf", kind: "bpf", flags: noSet | noDev | noExec, data: "mode=700", optional: true},
}

// mountAll mounts what is not mounted yet, and returns what the kernel lacks.
func mountAll(points []point) (notes []string, err error) {
	for _, p := range points {
		err := p.mount()
		switch {
		case err == nil:
		case p.optional:
			notes = append(notes, err.Error())
		default:
			return notes, err
		}
	}
	return notes, nil
}

func (p point) mount() error {
	// In sysfs a directory is made by the kernel or not at all.
	if err := os.Mkdir(p.path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("mount %s on %s: %w", p.kind, p.path, err)
	}
	is, err := mounted(p.path)
	if err != nil {
		return fmt.Errorf("mount %s: %w", p.kind, err)
	}
	if is {
		return nil // the kernel may do it itself (CONFIG_DEVTMPFS_MOUNT)
	}
	if err := unix.Mount(p.kind, p.path, p.kind, p.flags, p.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", p.kind, p.path, err)
	}
	return nil
}

// mounted says whether another file system than the parent's is at path.
func mounted(path string) (bool, error) {
	var here, above unix.Stat_t
	if err := unix.Lstat(path, &here); err != nil {
		return false, fmt.Errorf("look at %s: %w", path, err)
	}
	if err := unix.Lstat(filepath.Dir(path), &above); err != nil {
		return false, fmt.Errorf("look at %s: %w", filepath.Dir(path), err)
	}
	return here.Dev != above.Dev, nil
}

// devLinks are what udev makes beside the nodes of devtmpfs.
var devLinks = []struct{ path, target string }{
	{path: "/dev/fd", target: "/proc/self/fd"},
	{path: "/dev/stdin", target: "/proc/self/fd/0"},
	{path: "/dev/stdout", target: "/proc/self/fd/1"},
	{path: "/dev/stderr", target: "/proc/self/fd/2"},
}

func linkDevices() error {
	for _, l := range devLinks {
		if err := os.Symlink(l.target, l.path); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("link devices: %w", err)
		}
	}
	return nil
}

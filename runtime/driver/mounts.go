package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// copyMounts gives the calling thread a mount namespace of its own, with propagation set all through,
// one after the other.
func copyMounts(propagation ...uintptr) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("copy the mounts: %w", err)
	}
	for _, p := range propagation {
		if err := unix.Mount("", "/", "", p|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("copy the mounts: set propagation: %w", err)
		}
	}
	return nil
}

// listMounts returns the lines of mountinfo of the calling thread, proc_pid_mountinfo(5).
func listMounts() ([]string, error) {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}

// mountsSince names the mount points that were not there before. Nothing was asked of a stand-in for
// the host's mounts: who made it looks for itself.
func mountsSince(before []string) ([]string, error) {
	if before == nil {
		return nil, nil
	}
	after, err := listMounts()
	if err != nil {
		return nil, err
	}
	id := func(line string) string { id, _, _ := strings.Cut(line, " "); return id }
	var left []string
	for _, line := range after {
		if slices.ContainsFunc(before, func(b string) bool { return id(b) == id(line) }) {
			continue
		}
		const point = 4
		if f := strings.Fields(line); len(f) > point {
			left = append(left, "mount "+f[point])
		}
	}
	return left, nil
}

// conceal unmounts what the program must not see, in a mount namespace of its own: that of the host's
// stand-in is somebody else's.
func (l launch) conceal() error {
	if l.from != "" {
		if err := copyMounts(); err != nil {
			return err
		}
	}
	for _, point := range l.hide {
		if err := hide(point); err != nil {
			return fmt.Errorf("hide %s: %w", point, err)
		}
	}
	return nil
}

// hide puts an empty file system in the place of what is at a mount point: the directory below is the host's, and what
// a runtime made in it would stay. The rest of the namespace keeps its propagation: only the point, and the mount that
// holds it, are made private.
func hide(point string) error {
	if err := unix.Mount("", point, "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	for dir := filepath.Dir(point); ; dir = filepath.Dir(dir) {
		err := unix.Mount("", dir, "", unix.MS_PRIVATE, "")
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINVAL) || dir == "/" { // EINVAL: no mount point
			return err
		}
	}
	if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
		return err
	}
	return unix.Mount("hidden", point, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

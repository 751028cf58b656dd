package kernel

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// IDMappedMounts asks whether the file system of a directory can be mounted with an id
// mapping, mount_setattr(2) MOUNT_ATTR_IDMAP (5.12, each file system later). Nil, an error
// that wraps ErrNotSupported, or "could not tell", as for a Feature; nothing is remembered.
func IDMappedMounts(dir string) error {
	err := idMapped(dir)
	if err != nil {
		return fmt.Errorf("id-mapped mount of %s: %w", dir, err)
	}
	return nil
}

func idMapped(dir string) (err error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if errors.Is(err, unix.EPERM) {
		return refused(err, "CAP_SYS_ADMIN")
	}
	if err != nil {
		return &unasked{name: "open_tree", err: err}
	}
	defer func() { err = errors.Join(err, unix.Close(tree)) }()
	return withMapping(func(userns int) error {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns)}
		return refused(unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr), "CAP_SYS_ADMIN")
	})
}

// withMapping makes a user namespace whose ids 0 to 65535 are 100000 to 165535 outside. The
// child that holds it sleeps until it is killed.
func withMapping(use func(userns int) error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := start(unix.CLONE_NEWUSER, 0, false, closeAll(), do("ppoll", unix.SYS_PPOLL, nil, 0, nil, nil, 0))
	if err != nil {
		return refused(err, "")
	}
	defer func() { err = errors.Join(err, c.close(false)) }()
	for _, name := range []string{"uid_map", "gid_map"} {
		path := fmt.Sprintf("/proc/%d/%s", c.pid, name)
		if err := os.WriteFile(path, []byte("0 100000 65536"), 0); err != nil {
			return &unasked{name: "map ids", err: err}
		}
	}
	userns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", c.pid))
	if err != nil {
		return &unasked{name: "open a user namespace", err: err}
	}
	defer userns.Close() //nolint:errcheck // nothing was written
	return use(int(userns.Fd()))
}

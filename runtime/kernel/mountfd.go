package kernel

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// option is one parameter of a filesystem, as in fsconfig(2).
type option struct{ key, value string }

// detachedMount makes a new mount of a filesystem that is attached to no directory, and
// returns its root. It goes when the file is closed, so nothing of it can be left behind.
func detachedMount(fstype string) (*os.File, error) {
	context, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", fstype, err)
	}
	defer unix.Close(context) //nolint:errcheck // nothing was written
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, fmt.Errorf("fsconfig create %s: %w", fstype, err)
	}
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

package kernel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// LockingMemory calls load, which makes a BPF object, and where it is refused by EPERM calls it once more while this
// process may lock as much memory as it can. Before Linux 5.11 BPF objects count as locked memory, those of all of a
// user's processes together: root's has what systemd loaded.
func LockingMemory(load func() error) (err error) {
	if err := load(); !errors.Is(err, unix.EPERM) {
		return err
	}
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &old); err != nil {
		return fmt.Errorf("read RLIMIT_MEMLOCK: %w", err)
	}
	err = unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil)
	if errors.Is(err, unix.EPERM) { // without CAP_SYS_RESOURCE
		err = unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: old.Max, Max: old.Max}, nil)
	}
	if err != nil {
		return fmt.Errorf("raise RLIMIT_MEMLOCK: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &old, nil)) }()
	return load()
}

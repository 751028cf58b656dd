package core

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const ownProgram = "/proc/self/exe"

// Seal makes sure that nobody who reaches this process's program through procfs can write to its
// file. A program that joins a container must call it first: a script there whose interpreter is
// /proc/self/exe makes the kernel run this program's file in the container, where another process
// opens it, and writes to it when it has ended (CVE-2019-5736). No look at the script helps, since
// the container can exchange it.
//
// Where it is needed the program is executed again, with the same arguments, from a read-only mount
// of its file, or from a sealed copy where mounting is not allowed: then it does not return.
func Seal() error {
	file, err := os.Open(ownProgram)
	if err != nil {
		return fmt.Errorf("seal the program: %w", err)
	}
	defer file.Close() //nolint:errcheck // read-only
	sealed, err := isSealed(int(file.Fd()))
	if err != nil {
		return fmt.Errorf("seal the program: %w", err)
	}
	if sealed {
		// The kernel has taken the number of the descriptor for the name.
		_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
		return nil
	}
	fd, err := readOnlyMount()
	if err != nil {
		if fd, err = sealedCopy(file); err != nil {
			return fmt.Errorf("seal the program: %w", err)
		}
	}
	err = syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), os.Args, os.Environ()) // our own
	return errors.Join(fmt.Errorf("seal the program: execute it again: %w", err), unix.Close(fd))
}

const writeSeals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL

// isSealed reports whether a file lies on a read-only mount or is a sealed copy.
func isSealed(fd int) (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, err
	}
	if fs.Flags&unix.ST_RDONLY != 0 {
		return true, nil
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil && seals&writeSeals == writeSeals, nil // EINVAL: no memory file
}

// readOnlyMount makes a mount of the own program that no mount namespace has, so that nobody can
// make it writable again.
func readOnlyMount() (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, ownProgram, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// sealedCopy copies the own program into memory that cannot change any more.
func sealedCopy(program io.Reader) (_ int, err error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("cellwall", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // MFD_EXEC is there since Linux 6.3
		fd, err = unix.MemfdCreate("cellwall", flags)
	}
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	memory := os.NewFile(uintptr(fd), "cellwall")
	defer memory.Close() //nolint:errcheck // what is returned is a duplicate
	if _, err := io.Copy(memory, program); err != nil {
		return -1, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, writeSeals); err != nil {
		return -1, fmt.Errorf("add seals: %w", err)
	}
	// execve(2) refuses a file that is open for writing.
	return unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

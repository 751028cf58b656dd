package load

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Every file here is without a name, or is unlinked before the next is made.

// chunk is how much writeOn writes at a time, and behind how many of them may be on their way to the disk:
// a stop has to wait for those, however slow the disk is made.
const (
	chunk  = 256 << 10
	behind = 16
)

// writeOn writes a file from end to end and again, as a program does that copies one, and has the kernel
// begin at once to write each part to the disk: where memory is large it would else wait for half a
// minute. An operation is a chunk.
func writeOn(w *worker) error {
	fd, err := scratch(0)
	if err != nil {
		return err
	}
	b := make([]byte, min(w.Bytes, chunk))
	size := int64(len(b))
	parts := w.Bytes / size
	for i := int64(0); w.going(); i++ {
		if _, err := unix.Pwrite(fd, b, i%parts*size); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
		if err := unix.SyncFileRange(fd, i%parts*size, size, unix.SYNC_FILE_RANGE_WRITE); err != nil {
			return fmt.Errorf("begin to write to the disk: %w", err)
		}
		if before := i - behind; before >= 0 {
			if err := unix.SyncFileRange(fd, before%parts*size, size, unix.SYNC_FILE_RANGE_WAIT_BEFORE); err != nil {
				return fmt.Errorf("wait for the disk: %w", err)
			}
		}
		w.did()
	}
	return settle(fd)
}

// settle drops what has not been written yet and waits for the rest, so that nothing of it is left to
// disturb whoever comes next.
func settle(fd int) error {
	if err := errors.Join(unix.Ftruncate(fd, 0), unix.Fsync(fd)); err != nil {
		return fmt.Errorf("drop a file: %w", err)
	}
	return nil
}

// block is how much writeDirect writes at a time.
const block = 1 << 20

// writeDirect writes past the page cache. An operation is a block that is on its device.
func writeDirect(w *worker) error {
	fd, err := scratch(unix.O_DIRECT)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("the file system has no direct writes: %w", err)
	}
	if err != nil {
		return err
	}
	size := int64(block)
	if w.Bytes < size {
		return fmt.Errorf("a bound of %d bytes: want %d at least", w.Bytes, size)
	}
	b, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS) // aligned
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	for at := int64(0); w.going(); at += size {
		if at+size > w.Bytes {
			at = 0
		}
		if _, err := unix.Pwrite(fd, b, at); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
		w.did()
	}
	return settle(fd)
}

// syncOn appends to a file and calls fsync. At its bound it begins anew. An operation is a page that is on
// its device.
func syncOn(w *worker) error {
	fd, err := scratch(0)
	if err != nil {
		return err
	}
	b := make([]byte, ioSize)
	for at := int64(0); w.going(); at += ioSize {
		if at+ioSize > w.Bytes {
			at = 0
			if err := unix.Ftruncate(fd, 0); err != nil {
				return fmt.Errorf("empty a file: %w", err)
			}
		}
		if _, err := unix.Pwrite(fd, b, at); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
		if err := unix.Fsync(fd); err != nil {
			return fmt.Errorf("fsync: %w", err)
		}
		w.did()
	}
	return settle(fd)
}

// absentNames bounds the directory entries of names that are not there, which the kernel keeps.
const absentNames = 1 << 16

// churn makes a file, removes it, and looks for one that never was: an operation is all three.
func churn(w *worker) error {
	dir := inside("/" + Data)
	for i := 0; w.going(); i++ {
		path := filepath.Join(dir, fmt.Sprintf("file-%d", w.number))
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		if err := errors.Join(unix.Close(fd), unix.Unlink(path)); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, fmt.Sprintf("absent-%d-%d", w.number, i%absentNames)), &st); !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("look for a file that is not there: %w", err)
		}
		w.did()
	}
	return nil
}

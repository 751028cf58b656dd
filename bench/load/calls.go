package load

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Data is the directory of the root directory that all may write to.
const Data = "data"

// readOnly is a file of every root directory, and ioSize how much is read and written at a time.
const (
	readOnly = "/etc/passwd"
	ioSize   = 4096
)

// repeat makes an operation of one.
func repeat(one func() error) func(int) error {
	return func(n int) error {
		for range n {
			if err := one(); err != nil {
				return err
			}
		}
		return nil
	}
}

func openGetpid() (func(int) error, error) {
	return repeat(func() error { unix.Getpid(); return nil }), nil
}

func openOpen() (func(int) error, error) {
	path := inside(readOnly)
	return repeat(func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		return unix.Close(fd)
	}), nil
}

func openFstat() (func(int) error, error) {
	fd, err := unix.Open(inside(readOnly), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a file: %w", err)
	}
	var st unix.Stat_t
	return repeat(func() error { return unix.Fstat(fd, &st) }), nil
}

// openRead reads from the program's own file, all over it.
func openRead() (func(int) error, error) {
	fd, err := unix.Open(inside(Program), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a file: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("look at a file: %w", err)
	}
	b := make([]byte, ioSize)
	pages, page := st.Size/ioSize, int64(0)
	return repeat(func() error {
		page = (page + 1) % pages
		_, err := unix.Pread(fd, b, page*ioSize)
		return err
	}), nil
}

// openWrite writes to a new file of the root directory, over and over a part of it.
func openWrite() (func(int) error, error) {
	path := inside(fmt.Sprintf("/%s/%d", Data, os.Getpid()))
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	if err := unix.Unlink(path); err != nil {
		return nil, fmt.Errorf("unlink a file: %w", err)
	}
	const pages = 256
	b, page := make([]byte, ioSize), int64(0)
	return repeat(func() error {
		page = (page + 1) % pages
		_, err := unix.Pwrite(fd, b, page*ioSize)
		return err
	}), nil
}

func openForkExec() (func(int) error, error) {
	path := inside("/" + True)
	attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}}
	return repeat(func() error {
		pid, err := syscall.ForkExec(path, []string{path}, attr)
		if err != nil {
			return fmt.Errorf("start %s: %w", path, err)
		}
		_, err = unix.Wait4(pid, nil, 0, nil)
		return err
	}), nil
}

// openFault touches pages of fresh anonymous memory: an operation is one page, with its share of the mmap
// and munmap that it needs.
func openFault() (func(int) error, error) {
	const pages, size = 256, 4096
	return func(n int) error {
		for n > 0 {
			m, err := unix.Mmap(-1, 0, pages*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				return fmt.Errorf("mmap: %w", err)
			}
			if err := unix.Madvise(m, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL { //nolint:errorlint // EINVAL: the kernel has no huge pages
				return fmt.Errorf("madvise: %w", err)
			}
			for page := 0; page < pages && n > 0; page++ {
				m[page*size] = 1
				n--
			}
			if err := unix.Munmap(m); err != nil {
				return fmt.Errorf("munmap: %w", err)
			}
		}
		return nil
	}, nil
}

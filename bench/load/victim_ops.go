package load

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rounds is how many rounds of compute take about a time on this CPU, now.
func rounds(d time.Duration) (int, error) {
	const most = 1 << 34
	for n := 1 << 10; n < most; n *= 2 {
		start := monotonic()
		if err := compute(n); err != nil {
			return 0, err
		}
		if took := monotonic() - start; took > int64(d)/2 {
			return max(1, int(float64(n)*float64(d)/float64(took))), nil
		}
	}
	return 0, errors.New("the clock stands still")
}

// compute keeps the CPU busy for n rounds. It touches no memory.
func compute(n int) error {
	x := uint64(1)
	for range n { // Knuth's MMIX generator
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		return errors.New("the generator has come to 0")
	}
	return nil
}

func openUnit([]string) (func() error, error) {
	const unit = 500 * time.Microsecond
	n, err := rounds(unit)
	return func() error { return compute(n) }, err
}

func openRequest([]string) (func() error, error) {
	const pages, size = 16, 4096
	n, err := rounds(20 * time.Microsecond)
	return func() error {
		m, err := unix.Mmap(-1, 0, pages*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return fmt.Errorf("mmap: %w", err)
		}
		for page := range pages {
			m[page*size] = 1
		}
		return errors.Join(compute(n), unix.Munmap(m))
	}, err
}

// scratch makes a file without a name in the directory that all may write to: it goes with this process.
func scratch(flags int) (int, error) {
	dir := inside("/" + Data)
	fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC|flags, 0o600)
	if err != nil {
		return -1, fmt.Errorf("make a file in %s: %w", dir, err)
	}
	return fd, nil
}

func openFsync([]string) (func() error, error) {
	const pages = 256
	fd, err := scratch(0)
	if err != nil {
		return nil, err
	}
	if _, err := unix.Pwrite(fd, make([]byte, pages*ioSize), 0); err != nil {
		return nil, fmt.Errorf("write a file: %w", err)
	}
	if err := unix.Fsync(fd); err != nil {
		return nil, fmt.Errorf("fsync: %w", err)
	}
	b, page := make([]byte, ioSize), int64(0)
	return func() error {
		page = (page + 1) % pages
		if _, err := unix.Pwrite(fd, b, page*ioSize); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
		if err := unix.Fsync(fd); err != nil {
			return fmt.Errorf("fsync: %w", err)
		}
		return nil
	}, nil
}

// forkPatience is how long a refused fork is tried again.
const forkPatience = time.Second

func openFork([]string) (func() error, error) {
	path := inside("/" + True)
	attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}}
	return func() error {
		for end := monotonic() + int64(forkPatience); ; sleepUntil(monotonic() + int64(time.Millisecond)) {
			pid, err := syscall.ForkExec(path, []string{path}, attr)
			switch {
			case err == nil:
				_, err = unix.Wait4(pid, nil, 0, nil)
				return err
			case !errors.Is(err, unix.EAGAIN):
				return fmt.Errorf("start %s: %w", path, err)
			case monotonic() > end:
				return nil // it has waited for all that time, and that is its latency
			}
		}
	}, nil
}

// openPing connects to an address, ADDRESS:PORT, when it is first used: the link is made in between.
func openPing(args []string) (func() error, error) {
	if len(args) != 1 {
		return nil, errors.New("an echo has an address")
	}
	to, err := inet(args[0])
	if err != nil {
		return nil, err
	}
	const size = 64
	var there, back [size]byte
	fd := -1
	return func() (err error) {
		if fd < 0 {
			if fd, err = dial(to); err != nil {
				return err
			}
		}
		if _, err := unix.Write(fd, there[:]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		for got := 0; got < size; {
			n, err := unix.Read(fd, back[got:])
			if err == nil && n == 0 {
				err = unix.EPIPE
			}
			if err != nil {
				return fmt.Errorf("wait for the echo: %w", os.NewSyscallError("read", err))
			}
			got += n
		}
		return nil
	}, nil
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// terminal is a pseudo-terminal of the host as a bait.
type terminal struct {
	master, slave int // nonblocking; the slave is raw, so that every byte is read as it comes
	path          string
}

func (s *Stage) terminal() (*terminal, error) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return nil, kernel.Unsupported("pty(7): this host has no pseudo-terminals: open /dev/ptmx: %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	s.Undo.Push("close the terminal", func() error { return unix.Close(master) })
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock the terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("ask for the terminal's number: %w", err)
	}
	const tiocgptpeer = 0x5441 // TIOCGPTPEER of asm-generic/ioctls.h
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), tiocgptpeer, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, fmt.Errorf("open the terminal's other end: %w", errno)
	}
	s.Undo.Push("close the terminal's other end", func() error { return unix.Close(int(slave)) })
	mode, err := unix.IoctlGetTermios(int(slave), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read the terminal's mode: %w", err)
	}
	mode.Iflag, mode.Oflag, mode.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(int(slave), unix.TCSETS, mode); err != nil {
		return nil, fmt.Errorf("make the terminal raw: %w", err)
	}
	return &terminal{master: master, slave: int(slave), path: fmt.Sprintf("/dev/pts/%d", number)}, nil
}

// waiting counts the bytes that can be read from one end, and takes them.
func waiting(fd int) (int, error) {
	total, b := 0, make([]byte, 256)
	for {
		n, err := unix.Read(fd, b)
		// EIO: the other end was hung up, and nothing is left.
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EIO) || err == nil && n == 0 {
			return total, nil
		}
		if err != nil {
			return total, fmt.Errorf("read the sentinel terminal: %w", err)
		}
		total += n
	}
}

// TerminalUnwritten is a terminal of the host, the target's Path. The harness listens at its
// other end, and asks in which devpts a terminal lies that the attacker allocates, and one that a second
// container allocates at the same time.
func TerminalUnwritten(s *Stage) (*Watch, error) {
	t, err := s.terminal()
	if err != nil {
		return nil, err
	}
	var host unix.Stat_t
	if err := unix.Fstat(t.slave, &host); err != nil {
		return nil, fmt.Errorf("look at the terminal: %w", err)
	}
	target := attack.Target{Path: t.path, Extra: s.Nonce}
	var first, second []unix.Stat_t
	held := false
	count := func(masters []unix.Stat_t, dev uint64) (n int) {
		for _, m := range masters {
			if m.Dev == dev {
				n++
			}
		}
		return n
	}
	return &Watch{
		Target: target,
		Hold: func(ctx context.Context, _ string, a *Subject) (err error) {
			if first, err = openFiles(a.PID, "ptmx"); err != nil {
				return err
			}
			_, err = s.Launch(ctx, s.Name+"-second", &Watch{Target: target, Hold: func(_ context.Context, _ string, b *Subject) (err error) {
				held = true
				second, err = openFiles(b.PID, "ptmx")
				return err
			}})
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if !held {
				return Finding{}, errors.New("the attacker or the second container did not hold")
			}
			hosts, others := count(first, host.Dev), 0
			for _, m := range first {
				others += count(second, m.Dev)
			}
			n, err := waiting(t.master)
			f := Finding{Evidence: fmt.Sprintf("the reader of the host's terminal got %d bytes; of %d terminals that the attacker allocated %d are among the host's, and %d of a second container among its own", n, len(first), hosts, others)}
			return f.of(part{"writing", n > 0}, part{"allocating", hosts > 0}, part{"another container's", others > 0}),
				errors.Join(err, MustTry(r, "open /dev/pts/", "open /dev/ptmx"))
		},
	}, nil
}

// openFiles looks at the files of a base name that a process has open.
func openFiles(pid int, base string) ([]unix.Stat_t, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the attacker's descriptors: %w", err)
	}
	var files []unix.Stat_t
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		target, err := os.Readlink(path)
		if err != nil || filepath.Base(target) != base {
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return nil, fmt.Errorf("look at the attacker's descriptor: %w", err)
		}
		files = append(files, st)
	}
	return files, nil
}

// TerminalUntyped passes a terminal of the host to the attacker, and reads what is typed there.
func TerminalUntyped(s *Stage) (*Watch, error) {
	t, err := s.terminal()
	if err != nil {
		return nil, err
	}
	if err := s.pass(t.slave); err != nil {
		return nil, err
	}
	typed, held := 0, false
	return &Watch{
		Target: attack.Target{Path: passed},
		// Before the attacker's end, which hangs up the terminal that it has taken.
		Hold: func(context.Context, string, *Subject) (err error) {
			held = true
			typed, err = waiting(t.slave)
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if !held {
				return Finding{}, errors.New("the attacker did not get to a terminal")
			}
			f := Finding{Evidence: fmt.Sprintf("%d bytes were typed into the host's terminal", typed)}
			return f.of(part{"typing", typed > 0}, part{"typing by high bits too", typed > 1}),
				MustTry(r, "ioctl TIOCSTI", "ioctl TIOCSTI with high bits")
		},
	}, nil
}

// TerminalNotShared compares the attacker's controlling terminal with the harness's own.
func TerminalNotShared(*Stage) (*Watch, error) {
	ours, err := terminalOf("self")
	if err != nil {
		return nil, err
	}
	if ours == 0 {
		return nil, kernel.Unsupported("cellwall runs without a controlling terminal: there is none that a container could keep")
	}
	theirs := -1
	return &Watch{
		Hold: func(_ context.Context, _ string, a *Subject) (err error) {
			theirs, err = terminalOf(strconv.Itoa(a.PID))
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if theirs < 0 {
				return Finding{}, errors.New("the attacker did not hold")
			}
			return Finding{
				Breached: theirs == ours,
				Evidence: fmt.Sprintf("its controlling terminal is device %#x, the harness's %#x", theirs, ours),
			}, MustTry(r, "open /dev/tty")
		},
	}, nil
}

// terminalOf reads the device number of a process's controlling terminal: tty_nr of proc(5), 0
// for none.
func terminalOf(pid string) (int, error) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read controlling terminal: %w", err)
	}
	const ttyNr = 7
	field, err := kernel.StatField(string(b), ttyNr)
	if err != nil {
		return 0, fmt.Errorf("read controlling terminal: %w", err)
	}
	n, err := strconv.Atoi(field)
	if err != nil {
		return 0, fmt.Errorf("read controlling terminal: %w", err)
	}
	return n, nil
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// after lets a look count only where the attacker came to some calls.
func after(look func(context.Context, *Subject, attack.Record) (Finding, error), calls ...string) func(context.Context, *Subject, attack.Record) (Finding, error) {
	return func(ctx context.Context, s *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, calls...); err != nil {
			return Finding{}, err
		}
		return look(ctx, s, r)
	}
}

// CanaryBeyondChroot is CanaryFile for an attacker that calls chroot(2).
func CanaryBeyondChroot(s *Stage) (*Watch, error) {
	w, err := CanaryFile(s)
	if err != nil {
		return nil, err
	}
	w.Look = after(w.Look, "chroot /usr", "open "+w.Target.Path)
	return w, nil
}

// CanaryBehindProcess is CanaryFile with a host process, whose root and working directory are
// the host's. The target's PID is its pid.
func CanaryBehindProcess(s *Stage) (*Watch, error) {
	if err := s.needsProcfs(); err != nil {
		return nil, err
	}
	w, err := CanaryFile(s)
	if err != nil {
		return nil, err
	}
	p, err := s.Process()
	if err != nil {
		return nil, err
	}
	w.Target.PID = p.PID()
	w.Look = after(w.Look, "readlink /proc/", fmt.Sprintf("open /proc/%d/root/", p.PID()))
	return w, nil
}

// needsProcfs says that an attack through procfs shows nothing at a rung that has none.
func (s *Stage) needsProcfs() error {
	if s.Rung == spec.Chroot {
		return kernel.Unsupported("an attack through procfs: at rung %s there is none", s.Rung)
	}
	return nil
}

// OutsideDirectory is the name of outsideDir, beside the root directory.
const OutsideDirectory = "outside"

// outsideDir is a directory of the host with a canary, outside every root directory.
func (s *Stage) outsideDir() (string, error) {
	dir := filepath.Join(s.Dir, OutsideDirectory)
	if err := publicDir(dir); err != nil {
		return "", err
	}
	return dir, publicFile(filepath.Join(dir, "canary"), s.Nonce)
}

// leak opens a directory as a careless launcher does: the descriptor survives an exec.
func (s *Stage) leak(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, fmt.Errorf("open bait: %w", err)
	}
	s.Undo.Push("close bait", func() error { return unix.Close(fd) })
	return fd, nil
}

// leakSocket opens a socket as leak does a directory.
func (s *Stage) leakSocket() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return fmt.Errorf("open bait: %w", err)
	}
	s.Undo.Push("close bait", func() error { return unix.Close(fd) })
	return nil
}

// NothingInherited leaves a directory of the host and a socket open in the launcher, and lists the
// descriptors with which the attacker starts. The target's FD is the directory's and Name the canary
// in it.
func NothingInherited(s *Stage) (*Watch, error) {
	dir, err := s.outsideDir()
	if err != nil {
		return nil, err
	}
	fd, err := s.leak(dir)
	if err != nil {
		return nil, err
	}
	if err := s.leakSocket(); err != nil {
		return nil, err
	}
	var held []string
	directory, socket := false, false
	return &Watch{
		Target: attack.Target{FD: fd, Name: "canary"},
		Ready: func(_ context.Context, a *Subject) error {
			files := fmt.Sprintf("/proc/%d/fd", a.PID)
			entries, err := os.ReadDir(files)
			if err != nil {
				return fmt.Errorf("list the attacker's descriptors: %w", err)
			}
			for _, e := range entries {
				to, err := os.Readlink(filepath.Join(files, e.Name()))
				if err != nil {
					return fmt.Errorf("look at the attacker's descriptors: %w", err)
				}
				ours, err := inherited(a.PID, e.Name())
				if err != nil {
					return fmt.Errorf("look at the attacker's descriptors: %w", err)
				}
				if ours {
					held = append(held, e.Name()+" "+to)
					directory = directory || strings.HasSuffix(to, dir) // by its path in the attacker's mounts
					socket = socket || strings.HasPrefix(to, "socket:")
				}
			}
			return nil
		},
		Look: after(func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			f := s.Returned(r)
			parts := []part{{"the directory", directory || f.Breached}, {"the socket", socket}}
			if f.Breached = len(held) > 0; f.Breached {
				f.Evidence = fmt.Sprintf("it started with descriptors of its launcher: %.300s", strings.Join(held, ", "))
			}
			return f.of(parts...), nil
		}, fmt.Sprintf("openat %d", fd)),
	}, nil
}

// inherited reports whether a descriptor has come through the exec that began a program, and is none of its
// standard streams. Such a one is not close-on-exec; those that the Go runtime opens for itself in every
// program, to wait and to follow the CPU limit of its cgroup, all are.
func inherited(pid int, number string) (bool, error) {
	const stderr = 2
	n, err := strconv.Atoi(number)
	if err != nil || n <= stderr {
		return false, err
	}
	path := fmt.Sprintf("/proc/%d/fdinfo/%d", pid, n)
	b, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	var position int64
	var flags int
	if _, err := fmt.Sscanf(string(b), "pos: %d\nflags: %o\n", &position, &flags); err != nil { // proc_pid_fdinfo(5)
		return false, fmt.Errorf("parse %s: %w", path, err)
	}
	return flags&unix.O_CLOEXEC == 0, nil
}

// StartsInside asks for a working directory behind a descriptor of the launcher, which is a
// directory outside the root. The target's Name is the canary in it and Path the canary's host
// path.
func StartsInside(s *Stage) (*Watch, error) {
	dir, err := s.outsideDir()
	if err != nil {
		return nil, err
	}
	fd, err := s.leak(dir)
	if err != nil {
		return nil, err
	}
	bait, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("look at bait: %w", err)
	}
	out := false
	cwd := fmt.Sprintf("/proc/self/fd/%d", fd)
	return &Watch{
		Edits: spec.Edits{spec.Change("a working directory behind a descriptor", func(sp *specs.Spec) {
			sp.Process.Cwd = cwd
		})},
		Target: attack.Target{Name: "canary", Path: filepath.Join(dir, "canary")},
		Ready: func(_ context.Context, a *Subject) error {
			found, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", a.PID))
			if err != nil {
				return fmt.Errorf("look at the attacker's working directory: %w", err)
			}
			out = os.SameFile(found, bait)
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if out {
				return Finding{Breached: true, Evidence: "its working directory is the host's directory"}, nil
			}
			return s.Returned(r), MustTry(r, "open canary")
		},
		Refused: func(_ context.Context, err error) (Finding, error) {
			if !strings.Contains(err.Error(), "working directory") && !strings.Contains(err.Error(), cwd) {
				return Finding{}, err // about something else
			}
			return Finding{Evidence: "refused: " + err.Error()}, nil
		},
	}, nil
}

// SocketDirectory is the name of the directory beside the root directory in which the host has
// its control socket.
const SocketDirectory = "run"

// SocketUnreached is a control socket of the host that counts who connects. The target's Path is
// its host path and Name its name.
func SocketUnreached(s *Stage) (*Watch, error) {
	dir := filepath.Join(s.Dir, SocketDirectory)
	if err := publicDir(dir); err != nil {
		return nil, err
	}
	name := s.Name + ".sock"
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open bait: %w", err)
	}
	defer unix.Close(at) //nolint:errcheck // nothing was written
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	s.Undo.Push("close socket", func() error { return unix.Close(fd) })
	// Through the descriptor, since a socket's path is short (unix(7)).
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", at, name)}); err != nil {
		return nil, fmt.Errorf("bind socket: %w", err)
	}
	if err := chmod(filepath.Join(dir, name), 0o777); err != nil {
		return nil, err
	}
	if err := unix.Listen(fd, 64); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return &Watch{
		Target: attack.Target{Path: filepath.Join(dir, name), Name: name},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			n := 0
			for {
				// A connection waits here even after the other side is gone.
				c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
				if errors.Is(err, unix.EAGAIN) {
					return Finding{Breached: n > 0, Evidence: fmt.Sprintf("the control socket counted %d connections", n)}, nil
				}
				if err != nil {
					return Finding{}, fmt.Errorf("count connections: %w", err)
				}
				n++
				if err := unix.Close(c); err != nil {
					return Finding{}, fmt.Errorf("count connections: %w", err)
				}
			}
		}, "connect ", "look through /run"),
	}, nil
}

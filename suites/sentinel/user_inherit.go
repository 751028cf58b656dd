package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// LauncherKeyring is a launcher whose session keyring holds a key with the nonce.
func LauncherKeyring(s *Stage) (*Watch, error) {
	if err := s.keyring(); err != nil {
		return nil, err
	}
	return &Watch{
		Prepare: func() error {
			_, err := unix.KeyctlJoinSessionKeyring(s.ringName())
			return err
		},
		Target: attack.Target{Name: s.Name},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			return s.Returned(r), MustTry(r, "keyctl search session keyring", "keyctl search user session keyring")
		},
	}, nil
}

// ringName is no container's id: some runtimes join the keyring of that name.
func (s *Stage) ringName() string { return s.Name + "-launcher" }

// keyring makes the launcher's session keyring with a key of the stage's name in it. It lives as
// long as the thread that has it.
func (s *Stage) keyring() error {
	ready, end, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlock: the thread ends with its keyring
		ready <- func() error {
			ring, err := unix.KeyctlJoinSessionKeyring(s.ringName())
			if err != nil {
				return fmt.Errorf("join a session keyring: %w", err)
			}
			// Whoever joins it by its name must be able to find it, keyctl(2).
			const all, view = 0x3f000000, 0x003f0000 // KEY_POS_ALL, KEY_USR_ALL of linux/keyctl.h
			if err := unix.KeyctlSetperm(ring, all|view); err != nil {
				return fmt.Errorf("open the session keyring: %w", err)
			}
			if _, err := unix.AddKey("user", s.Name, []byte(s.Nonce), ring); err != nil {
				return fmt.Errorf("add a key: %w", err)
			}
			return nil
		}()
		<-end
	}()
	err := <-ready
	s.Undo.Push("drop the session keyring", func() error { close(end); <-ended; return nil })
	return err
}

// LauncherGroup is a launcher in a group to which a file with the nonce is open, and to nobody
// else that is not root.
func LauncherGroup(s *Stage) (*Watch, error) {
	path, err := s.groupFile(0o040)
	if err != nil {
		return nil, err
	}
	const user = 1000
	groups := ""
	return &Watch{
		Prepare: func() error { return s.takeGroup(s.UID) },
		Edits: spec.Edits{spec.Change("a user that is not root", func(s *specs.Spec) {
			s.Process.User.UID, s.Process.User.GID = user, user
		})},
		Target: attack.Target{Path: "/" + filepath.Base(path)},
		Ready: func(_ context.Context, a *Subject) error {
			text, err := statusOf(a.PID)
			groups = supplementary(text)
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			f := s.Returned(r)
			f.Breached = f.Breached || groups != ""
			f.Evidence = fmt.Sprintf("its supplementary groups are %q; %s", groups, f.Evidence)
			return f, MustTry(r, "getgroups")
		},
	}, nil
}

// LauncherGroupDenied is a launcher in a group to which a file with the nonce is closed, while it is
// open to everybody else, and whose user namespaces deny setgroups(2).
func LauncherGroupDenied(s *Stage) (*Watch, error) {
	path, err := s.groupFile(0o604)
	if err != nil {
		return nil, err
	}
	before, after := "", ""
	return &Watch{
		Prepare: func() error { return s.takeGroup(s.UID) },
		Edits: spec.Edits{spec.Change("setgroups denied", func(s *specs.Spec) {
			s.Annotations = map[string]string{spec.DenySetgroups: "true"}
		})},
		Target: attack.Target{Path: "/" + filepath.Base(path)},
		Ready: func(_ context.Context, a *Subject) error {
			text, err := statusOf(a.PID)
			before = StatusField(text, "Groups:")
			return err
		},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			text, err := statusOf(a.PID)
			after = StatusField(text, "Groups:")
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			has := slices.Contains(strings.Fields(before), strconv.FormatUint(uint64(s.UID), 10))
			if s.Rung.Covers(spec.Hardened) && !has {
				return Finding{}, fmt.Errorf("the container has not kept the launcher's group: %q", before)
			}
			f := s.Returned(r)
			f.Breached = f.Breached || before != after
			f.Evidence = fmt.Sprintf("its supplementary groups were %q and are %q; %s", before, after, f.Evidence)
			return f, MustTry(r, "setgroups to another one", "setgroups to none")
		},
	}, nil
}

// supplementary are the groups of a process, of proc_pid_status(5), but for its own gid: engines list that as well, so that
// a set-group-ID program does not make the process lose it (CVE-2022-36109).
func supplementary(status string) string {
	own := strings.Fields(StatusField(status, "Gid:"))
	groups := slices.DeleteFunc(strings.Fields(StatusField(status, "Groups:")), func(g string) bool { return len(own) > 0 && g == own[0] })
	return strings.Join(groups, " ")
}

// groupFile makes a file with the nonce in the root directory, which belongs to the stage's group.
func (s *Stage) groupFile(mode os.FileMode) (string, error) {
	path := filepath.Join(s.Rootfs, "canary")
	if err := os.WriteFile(path, []byte(s.Nonce), 0o600); err != nil {
		return "", fmt.Errorf("make canary: %w", err)
	}
	if err := errors.Join(os.Chown(path, 0, int(s.UID)), os.Chmod(path, mode)); err != nil {
		return "", fmt.Errorf("make canary: %w", err)
	}
	return path, nil
}

// takeGroup makes a group the only supplementary one of the calling thread. It is the call itself,
// since the library's is for all threads.
func (s *Stage) takeGroup(gid uint32) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&gid)), 0)
	if errno != 0 {
		return fmt.Errorf("take group %d: %w", gid, errno)
	}
	return nil
}

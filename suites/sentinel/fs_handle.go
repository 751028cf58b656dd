package sentinel

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// partlyShown is a file system of the host of which a volume shows one directory. The directory
// hidden beside it is not shown.
func (s *Stage) partlyShown() (h *hostMounts, v *volume, hidden string, err error) {
	if h, err = s.hostMounts(); err != nil {
		return nil, nil, "", err
	}
	if v, err = s.sharedDirectory(); err != nil {
		return nil, nil, "", err
	}
	whole := filepath.Join(s.Dir, "whole")
	if err := publicDir(whole); err != nil {
		return nil, nil, "", err
	}
	hidden = filepath.Join(whole, "hidden")
	return h, v, hidden, h.do(func() error {
		if err := tmpfs(whole); err != nil {
			return err
		}
		shown := filepath.Join(whole, "shown")
		if err := errors.Join(publicDir(shown), publicDir(hidden)); err != nil {
			return err
		}
		if err := unix.Mount(shown, v.host, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind bait: %w", err)
		}
		return nil
	})
}

// HiddenUnopened is a file with the nonce on a file system of which a volume, the target's Path,
// shows only another directory. The target's Extra and Count are the file's handle.
func HiddenUnopened(s *Stage) (*Watch, error) {
	h, v, hidden, err := s.partlyShown()
	if err != nil {
		return nil, err
	}
	var handle unix.FileHandle
	err = h.do(func() error {
		canary := filepath.Join(hidden, "canary")
		if err := publicFile(canary, s.Nonce); err != nil {
			return err
		}
		handle, _, err = unix.NameToHandleAt(unix.AT_FDCWD, canary, 0)
		return err
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil, kernel.Unsupported("name_to_handle_at(2) on tmpfs: %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the file's handle: %w", err)
	}
	return &Watch{
		From:  h.path(),
		Edits: spec.Edits{v.bind()},
		Target: attack.Target{
			Path: v.path, Extra: hex.EncodeToString(handle.Bytes()), Count: int(handle.Type()),
		},
		Look: after(s.LookForNonce, "open_by_handle_at"),
	}, nil
}

// NothingWatched writes to files whose names are new each time, in a directory that the volume,
// the target's Path, does not show, while the attacker watches.
func NothingWatched(s *Stage) (*Watch, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC, unix.O_RDONLY)
	if errors.Is(err, unix.ENOSYS) {
		return nil, kernel.Unsupported("fanotify(7): %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("try fanotify: %w", err)
	}
	if err := unix.Close(fd); err != nil {
		return nil, fmt.Errorf("try fanotify: %w", err)
	}
	h, v, hidden, err := s.partlyShown()
	if err != nil {
		return nil, err
	}
	return &Watch{
		From:      h.path(),
		Edits:     spec.Edits{v.bind()},
		Target:    attack.Target{Path: v.path},
		Refusable: true,
		Hold: func(context.Context, string, *Subject) error {
			return h.do(func() error {
				file := filepath.Join(hidden, s.Nonce+Token())
				if err := publicFile(file, s.Nonce); err != nil {
					return err
				}
				return os.Remove(file)
			})
		},
		Look: after(s.LookForNonce, "fanotify_init FAN_CLASS_NOTIF", "fanotify_init FAN_REPORT_FID"),
	}, nil
}

// ReadOnlyFileUnchanged is a file of the host's root that only its owner may open. The attacker
// is given it, opened for reading. It looks at the file before and after.
func ReadOnlyFileUnchanged(s *Stage) (*Watch, error) {
	dir, err := s.outsideDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "owned")
	if err := publicFile(path, s.Nonce); err != nil {
		return nil, err
	}
	if err := chmod(path, 0o600); err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open bait: %w", err)
	}
	s.Undo.Push("close bait", func() error { return unix.Close(fd) })
	if err := s.pass(fd); err != nil {
		return nil, err
	}
	before, err := treeOf(dir)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{Path: passed},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			f, err := before.unchanged(dir)
			if err != nil {
				return f, err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return f, fmt.Errorf("look at the bait: %w", err)
			}
			info, err := os.Stat(path)
			if err != nil {
				return f, fmt.Errorf("look at the bait: %w", err)
			}
			return f.of(part{"writing", string(text) != s.Nonce}, part{"its mode", info.Mode().Perm() != 0o600}), nil
		}, "open /proc/self/fd/", "fchmod"),
	}, nil
}

// NodeUnread is a node in a nodev volume, the target's Path, of a block device that holds the
// nonce. All mounts that are to be nodev are looked at as well.
func NodeUnread(s *Stage) (*Watch, error) {
	h, v, err := s.nodeVolume()
	if err != nil {
		return nil, err
	}
	w := &Watch{
		From:   h.path(),
		Edits:  spec.Edits{v.bind("nodev")},
		Target: attack.Target{Path: v.path + "/node"},
		Look:   after(s.LookForNonce, "open "),
	}
	return w.flagged(s, "nodev"), nil
}

func (s *Stage) nodeVolume() (*hostMounts, *volume, error) {
	h, v, err := s.memoryVolume()
	if err != nil {
		return nil, nil, err
	}
	disk := filepath.Join(s.Dir, "disk")
	if err := errors.Join(publicFile(disk, s.Nonce), os.Truncate(disk, loopSize)); err != nil {
		return nil, nil, fmt.Errorf("make bait: %w", err)
	}
	device, err := s.loop(disk)
	if err != nil {
		return nil, nil, err
	}
	return h, v, h.do(func() error {
		node := filepath.Join(v.host, "node")
		if err := unix.Mknod(node, unix.S_IFBLK, int(device)); err != nil {
			return fmt.Errorf("make node: %w", err)
		}
		return chmod(node, 0o666)
	})
}

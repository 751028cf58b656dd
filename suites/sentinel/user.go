package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// OwnerUnprivileged is a volume on which the attacker makes a file.
func OwnerUnprivileged(s *Stage) (*Watch, error) {
	dir, err := s.share(0o777)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{Path: sharedDir + "/made"},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) {
			st, there, err := owner(filepath.Join(dir, "made"))
			if err != nil {
				return Finding{}, err
			}
			if !there {
				return Finding{}, errors.New("the attacker made no file")
			}
			return Finding{Breached: st.Uid == 0, Evidence: fmt.Sprintf("its file belongs to host uid %d", st.Uid)}, nil
		},
	}, nil
}

// Unmapped is an id beyond the 65536 that the containers' user namespaces map.
const Unmapped = 70000

// identity is who a process is, thread by thread, and what its user namespace maps.
type identity struct {
	uids, gids []string // distinct Uid and Gid lines
	uidMap     string
}

func identify(pid int) (i identity, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return i, err
	}
	for _, t := range threads {
		b, err := os.ReadFile(t) //nolint:gosec // procfs
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return i, fmt.Errorf("read ids of the attacker: %w", err)
		}
		i.uids = append(i.uids, StatusField(string(b), "Uid:"))
		i.gids = append(i.gids, StatusField(string(b), "Gid:"))
	}
	slices.Sort(i.uids)
	slices.Sort(i.gids)
	i.uids, i.gids = slices.Compact(i.uids), slices.Compact(i.gids)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	if err != nil {
		return i, fmt.Errorf("read id map of the attacker: %w", err)
	}
	i.uidMap = string(b)
	return i, nil
}

// IDsKept looks whether a thread or a file of the attacker gets an id that is not mapped.
func IDsKept(s *Stage) (*Watch, error) {
	dir, err := s.share(0o777)
	if err != nil {
		return nil, err
	}
	var before, after identity
	var file unix.Stat_t
	var there bool
	return &Watch{
		Target: attack.Target{Path: sharedDir + "/made", Count: Unmapped},
		Ready:  func(_ context.Context, a *Subject) (err error) { before, err = identify(a.PID); return err },
		Hold: func(_ context.Context, _ string, a *Subject) (err error) {
			if after, err = identify(a.PID); err != nil {
				return err
			}
			file, there, err = owner(filepath.Join(dir, "made"))
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "chown", "write uid_map", "setresgid", "setresuid"); err != nil {
				return Finding{}, err
			}
			if !there || len(before.uids) == 0 {
				return Finding{}, errors.New("the attacker made no file")
			}
			own, _, _ := strings.Cut(before.uids[0], "\t")
			evidence := fmt.Sprintf("its threads have the uids %q and gids %q, its file is of %d:%d", after.uids, after.gids, file.Uid, file.Gid)
			changed := !slices.Equal(before.uids, after.uids) || !slices.Equal(before.gids, after.gids) ||
				before.uidMap != after.uidMap || strconv.FormatUint(uint64(file.Uid), 10) != own
			return Finding{Breached: changed, Evidence: evidence}, nil
		},
	}, nil
}

// RootFileKept is a file of host root on the volume.
func RootFileKept(s *Stage) (*Watch, error) {
	dir, err := s.share(0o755)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "canary")
	if err := os.WriteFile(path, []byte(s.Nonce), 0o644); err != nil { //nolint:gosec // its mode is the bait
		return nil, fmt.Errorf("make canary: %w", err)
	}
	before, _, err := owner(path)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{Path: sharedDir + "/canary"},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "open for write", "chmod", "chown", "unlink"); err != nil {
				return Finding{}, err
			}
			after, there, err := owner(path)
			if err != nil {
				return Finding{}, err
			}
			if !there || after.Ino != before.Ino {
				return Finding{Breached: true, Evidence: "the canary of host root is gone"}, nil
			}
			text, err := os.ReadFile(path) //nolint:gosec // a regular file still
			if err != nil {
				return Finding{}, fmt.Errorf("read canary: %w", err)
			}
			changed := string(text) != s.Nonce || after.Mode != before.Mode || after.Uid != before.Uid || after.Gid != before.Gid
			return Finding{
				Breached: changed,
				Evidence: fmt.Sprintf("the canary of host root has mode %o, owner %d:%d and %d bytes", after.Mode&0o7777, after.Uid, after.Gid, len(text)),
			}, nil
		},
	}, nil
}

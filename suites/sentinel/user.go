package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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

// RootFileKept are files of host root on the volume: the target's Path, and one to remove, its Name.
func RootFileKept(s *Stage) (*Watch, error) {
	dir, err := s.share(0o755)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "canary")
	if err := os.WriteFile(path, []byte(s.Nonce), 0o644); err != nil { // its mode is the bait
		return nil, fmt.Errorf("make canary: %w", err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		return nil, fmt.Errorf("make canary: %w", err)
	}
	before, _, err := owner(path)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{Path: sharedDir + "/canary", Name: sharedDir + "/other"},
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
			text, err := os.ReadFile(path)
			if err != nil {
				return Finding{}, fmt.Errorf("read canary: %w", err)
			}
			_, kept, err := owner(other)
			f := Finding{Evidence: fmt.Sprintf("the canary of host root has mode %o, owner %d:%d and %d bytes, and the one beside it is there: %v",
				after.Mode&0o7777, after.Uid, after.Gid, len(text), kept)}
			return f.of(
				part{"writing", string(text) != s.Nonce}, part{"chmod", after.Mode != before.Mode},
				part{"chown", after.Uid != before.Uid || after.Gid != before.Gid}, part{"unlink", !kept},
			), err
		},
	}, nil
}

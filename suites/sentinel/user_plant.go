package sentinel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// PlantHarmless runs, as a host user, the set-user-ID program that the attacker left on the volume.
func PlantHarmless(s *Stage) (*Watch, error) {
	if err := errors.Join(gainable(), s.freeOf("nosuid")); err != nil {
		return nil, err
	}
	dir, err := s.share(0o777)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{Path: sharedDir + "/planted"},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "chown 0:0", "chmod 4755"); err != nil {
				return Finding{}, err
			}
			text, err := runAs(filepath.Join(dir, "planted"), s.UID)
			if err != nil {
				return Finding{}, err
			}
			ids := strings.Fields(StatusField(text, "Uid:"))
			if len(ids) != 4 {
				return Finding{}, fmt.Errorf("read uids of the planted program: %q", ids)
			}
			return Finding{Breached: ids[1] == "0", Evidence: "host uid " + ids[0] + " runs what it planted with the effective uid " + ids[1]}, nil
		},
	}, nil
}

// plantedCapability is CAP_NET_BIND_SERVICE, the least of those below 32.
const plantedCapability = 10

// FileCapabilityHarmless runs, as a host user, the program to which the attacker gave a capability.
func FileCapabilityHarmless(s *Stage) (*Watch, error) {
	if err := errors.Join(gainable(), s.freeOf("nosuid"), s.fileCapabilities()); err != nil {
		return nil, err
	}
	dir, err := s.share(0o777)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{Path: sharedDir + "/capped", Count: plantedCapability},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "setxattr"); err != nil {
				return Finding{}, err
			}
			path := filepath.Join(dir, "capped")
			kind, err := capabilityKind(path)
			if err != nil {
				return Finding{}, err
			}
			text, err := runAs(path, s.UID)
			if err != nil {
				return Finding{}, err
			}
			held := StatusField(text, "CapEff:")
			return Finding{
				Breached: strings.Trim(held, "0") != "",
				Evidence: fmt.Sprintf("its program has %s; a host user runs it with CapEff %s", kind, held),
			}, nil
		},
	}, nil
}

// capabilityKind says what a file's capability attribute is: struct vfs_ns_cap_data of
// linux/capability.h.
func capabilityKind(path string) (string, error) {
	b := make([]byte, 64)
	n, err := unix.Lgetxattr(path, "security.capability", b)
	if errors.Is(err, unix.ENODATA) {
		return "no file capability", nil
	}
	if err != nil {
		return "", fmt.Errorf("read what the attacker set: %w", err)
	}
	const withRoot = 24 // bytes of revision 3
	if n == withRoot {
		return fmt.Sprintf("a file capability of revision 3 for root id %d", binary.LittleEndian.Uint32(b[20:])), nil
	}
	return fmt.Sprintf("a file capability of %d bytes", n), nil
}

// fileCapabilities says that the stage's file system keeps file capabilities and that this process
// may set them.
func (s *Stage) fileCapabilities() error {
	path, err := s.helper("/capability-trial")
	if err != nil {
		return err
	}
	err = unix.Setxattr(path, "security.capability", attack.FileCapability(plantedCapability), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		err = kernel.Unsupported("file capabilities cannot be set at %s: %v", s.Rootfs, err)
	}
	return errors.Join(err, os.Remove(path))
}

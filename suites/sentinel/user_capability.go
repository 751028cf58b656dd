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

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// setNames are the lines of /proc/PID/status that are capability sets: proc_pid_status(5).
var setNames = []string{"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"}

// capabilityMask is the bits of named capabilities.
func capabilityMask(names []string) uint64 {
	var m uint64
	for _, name := range names {
		if n, ok := kernel.CapabilityNumber(name); ok {
			m |= 1 << n
		}
	}
	return m
}

// unequal names the sets of a status text that are not as wanted.
func unequal(status string, want map[string]uint64) ([]string, error) {
	var wrong []string
	for _, name := range setNames {
		wanted, ok := want[name]
		if !ok {
			continue
		}
		is, err := strconv.ParseUint(StatusField(status, name), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("read capability sets: %w", err)
		}
		if is != wanted {
			wrong = append(wrong, fmt.Sprintf("%s %x instead of %x", strings.TrimSuffix(name, ":"), is, wanted))
		}
	}
	return wrong, nil
}

// wrongSets looks at every thread of the attacker and its children.
func (a *Subject) wrongSets(want map[string]uint64) (wrong []string, processes int, err error) {
	pids, err := a.others()
	if err != nil {
		return nil, 0, err
	}
	for _, pid := range append(pids, a.PID) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			return nil, 0, err
		}
		for _, t := range threads {
			b, err := os.ReadFile(t)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
				continue // it has ended
			}
			if err != nil {
				return nil, 0, fmt.Errorf("read capability sets: %w", err)
			}
			sets, err := unequal(string(b), want)
			if err != nil {
				return nil, 0, err
			}
			wrong = append(wrong, sets...)
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong), len(pids) + 1, nil
}

// CapabilitiesExact compares the sets of all threads with those of the rung. A file that would
// give one capability more lies in the root directory.
func CapabilitiesExact(s *Stage) (*Watch, error) {
	const chroot = 18 // CAP_SYS_CHROOT, which no rung with few capabilities keeps
	path, err := s.helper("/capped")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.freeOf("nosuid"), s.fileCapabilities()); err != nil {
		return nil, err
	}
	if err := unix.Setxattr(path, "security.capability", attack.FileCapability(chroot), 0); err != nil {
		return nil, fmt.Errorf("give a file a capability: %w", err)
	}
	held, err := kernel.HeldCapabilities()
	if err != nil {
		return nil, err
	}
	caps := spec.New(s.Rung, spec.Options{Rootfs: s.Rootfs, Args: []string{"/"}, Capabilities: held}).Process.Capabilities
	want := map[string]uint64{
		"CapInh:": capabilityMask(caps.Inheritable), "CapPrm:": capabilityMask(caps.Permitted), "CapEff:": capabilityMask(caps.Effective),
		"CapBnd:": capabilityMask(caps.Bounding), "CapAmb:": capabilityMask(caps.Ambient),
	}
	var wrong []string
	var processes int
	return &Watch{
		Target: attack.Target{Path: "/capped"},
		Hold: func(_ context.Context, _ string, a *Subject) (err error) {
			wrong, processes, err = a.wrongSets(want)
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "start a child", "execute a file"); err != nil {
				return Finding{}, err
			}
			if processes < 2 {
				return Finding{}, errors.New("the attacker started no child")
			}
			if len(wrong) > 0 {
				return Finding{Breached: true, Evidence: strings.Join(wrong, ", ")}, nil
			}
			return Finding{Evidence: fmt.Sprintf("all threads of %d processes have exactly the spec's sets", processes)}, nil
		},
	}, nil
}

// InheritablesEmpty looks at the inheritable and the ambient set of init as it starts, and of
// what it executes.
func InheritablesEmpty(*Stage) (*Watch, error) {
	const capKill = 5
	want := map[string]uint64{"CapInh:": 0, "CapAmb:": 0}
	var wrong []string
	look := func(a *Subject) error {
		more, _, err := a.wrongSets(want)
		wrong = append(wrong, more...)
		return err
	}
	return &Watch{
		Target: attack.Target{Count: capKill},
		Ready:  func(_ context.Context, a *Subject) error { return look(a) },
		Hold:   func(_ context.Context, _ string, a *Subject) error { return look(a) },
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "prctl PR_CAP_AMBIENT_RAISE", "start a child"); err != nil {
				return Finding{}, err
			}
			if len(wrong) > 0 {
				slices.Sort(wrong)
				return Finding{Breached: true, Evidence: strings.Join(slices.Compact(wrong), ", ")}, nil
			}
			return Finding{Evidence: "the inheritable and ambient sets of init and its child are empty"}, nil
		},
	}, nil
}

// PrivilegeNotGained is a container of a user that is not root, with a set-user-ID program of its
// root and one with a file capability.
func PrivilegeNotGained(s *Stage) (*Watch, error) {
	if err := errors.Join(gainable(), s.freeOf("nosuid"), s.fileCapabilities()); err != nil {
		return nil, err
	}
	setuid, err := s.helper("/setuid")
	if err != nil {
		return nil, err
	}
	capped, err := s.helper("/capped")
	if err != nil {
		return nil, err
	}
	// Of the mapped root, since a set-user-ID bit of an id without a mapping is passed over.
	if err := errors.Join(os.Chown(setuid, int(s.Root), int(s.Root)), unix.Chmod(setuid, unix.S_ISUID|0o755)); err != nil {
		return nil, fmt.Errorf("make set-user-ID program: %w", err)
	}
	if err := unix.Setxattr(capped, "security.capability", attack.FileCapability(plantedCapability), 0); err != nil {
		return nil, fmt.Errorf("give a file a capability: %w", err)
	}
	const user = 1000
	var gained []string
	seen := 0
	return &Watch{
		Edits: spec.Edits{spec.Change("a user that is not root", func(s *specs.Spec) {
			s.Process.User.UID, s.Process.User.GID = user, user
		})},
		Target: attack.Target{Paths: []string{"/setuid", "/capped"}},
		Hold: func(_ context.Context, _ string, a *Subject) (err error) {
			gained, seen, err = a.gained()
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "execute /setuid", "execute /capped", "prctl PR_SET_NO_NEW_PRIVS 0"); err != nil {
				return Finding{}, err
			}
			if seen != 2 {
				return Finding{}, fmt.Errorf("the attacker executed %d of 2 programs", seen)
			}
			f := Finding{Evidence: "neither the set-user-ID program nor that with a capability gave anything"}
			if len(gained) > 0 {
				f.Evidence = "a program gave " + strings.Join(gained, ", ")
			}
			gave := func(field string) bool {
				return slices.ContainsFunc(gained, func(g string) bool { return strings.HasPrefix(g, field) })
			}
			return f.of(part{"a uid", gave("Uid:")}, part{"capabilities", gave("CapEff:")}), nil
		},
	}, nil
}

// gained says what children have that the attacker has not.
func (a *Subject) gained() (gained []string, seen int, err error) {
	pids, err := a.others()
	if err != nil {
		return nil, 0, err
	}
	own, err := statusOf(a.PID)
	if err != nil {
		return nil, 0, err
	}
	for _, pid := range pids {
		text, err := statusOf(pid)
		if err != nil {
			return nil, 0, err
		}
		for _, field := range []string{"Uid:", "CapEff:"} {
			if has, had := StatusField(text, field), StatusField(own, field); has != had {
				gained = append(gained, fmt.Sprintf("%s %s instead of %s", field, has, had))
			}
		}
	}
	return gained, len(pids), nil
}

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

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// UmaskKept looks whether the i386 call of the attacker's child was served: its umask shows it.
func UmaskKept(*Stage) (*Watch, error) {
	var finding Finding
	return &Watch{
		Hold: func(ctx context.Context, name string, a *Subject) error {
			child, err := onlyChild(ctx, a, name == "spoke")
			if err != nil {
				return err
			}
			if name != "spoke" {
				if err := endedByFilter(child); err != nil {
					return err
				}
				finding = Finding{Evidence: fmt.Sprintf("process %d was ended by SIGSYS at the call", child)}
				return nil
			}
			umask, err := procStatus(fmt.Sprintf("/proc/%d", child), "Umask:")
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(umask, 8, 32)
			finding = Finding{Breached: n == attack.ABIUmask, Evidence: fmt.Sprintf("the umask of process %d is %s", child, umask)}
			return err
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) { return seen(finding) },
	}, nil
}

// NamespacesKept compares the user and mount namespaces of the attacker's child with its own.
func NamespacesKept(*Stage) (*Watch, error) {
	var finding Finding
	return &Watch{
		Hold: func(ctx context.Context, name string, a *Subject) error {
			if name == "refused" {
				children, err := a.children()
				if err == nil && len(children) > 0 {
					err = fmt.Errorf("the attacker has %d children although its call was refused", len(children))
				}
				finding = Finding{Evidence: "the attacker has no child"}
				return err
			}
			child, err := onlyChild(ctx, a, true)
			if err != nil {
				return err
			}
			var other []string
			for _, ns := range []string{"user", "mnt"} {
				its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", child, ns))
				if err != nil {
					return fmt.Errorf("read namespace of the attacker's child: %w", err)
				}
				parents, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a.PID, ns))
				if err != nil {
					return fmt.Errorf("read namespace of the attacker: %w", err)
				}
				if its != parents {
					other = append(other, its)
				}
			}
			finding = Finding{Breached: len(other) > 0, Evidence: fmt.Sprintf("process %d has new namespaces: %s", child, strings.Join(other, ", "))}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "clone3"); err != nil {
				return Finding{}, err
			}
			return seen(finding)
		},
	}, nil
}

// RingFile is a file with the nonce in the root directory, under a filter that denies openat2, the
// call that the attacker opens by, and which no runtime needs under its filter: only an io_uring can
// do it.
func RingFile(s *Stage) (*Watch, error) {
	bait := filepath.Join(s.Rootfs, "bait")
	if err := errors.Join(os.WriteFile(bait, []byte(s.Nonce), 0o600), os.Chmod(bait, 0o644)); err != nil { // modes are not the barrier
		return nil, fmt.Errorf("make bait: %w", err)
	}
	return &Watch{
		Target: attack.Target{Path: "/bait"},
		Edits: spec.Edits{spec.Change("a filter that denies openat2", func(sp *specs.Spec) {
			if sp.Linux.Seccomp == nil {
				return
			}
			spec.Allowing("openat2").Apply(sp)
			rules := sp.Linux.Seccomp.Syscalls
			errno := uint(unix.EPERM)
			rules[len(rules)-1].Action, rules[len(rules)-1].ErrnoRet = specs.ActErrno, &errno
		})},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "openat2", "io_uring_setup"); err != nil {
				return Finding{}, err
			}
			return s.Returned(r), nil
		},
	}, nil
}

package sentinel

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// ProcessUnsignalled is a host process that counts the SIGUSR1 it gets. The target's PID is its
// pid. It runs with the same kernel uid as an unmapped container, so that file modes and owners
// protect it from nothing.
func ProcessUnsignalled(s *Stage) (*Watch, error) {
	p, err := s.Process()
	if err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{PID: p.PID()},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			whole, single, err := p.pending()
			f := p.signalled(whole, single).of(
				part{"kill", has(whole, unix.SIGUSR1)}, part{"tgkill", has(single, unix.SIGUSR1)},
				part{"rt_sigqueueinfo", has(whole, unix.SIGUSR2)}, part{"fcntl F_SETOWN", has(whole, unix.SIGIO)},
				part{"pidfd_send_signal", has(whole, unix.SIGALRM)},
			)
			if err != nil || f.Breached {
				return f, err // a breach that was seen stands, whatever the attacker says
			}
			return f, MustTry(r, "kill ", "tgkill ", "rt_sigqueueinfo ", "fcntl F_SETOWN ", "pidfd_open ")
		},
	}, nil
}

// NamespaceNames are the files of /proc/PID/ns that name a process's own namespaces.
var NamespaceNames = []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}

// NamespacesDiffer compares the attacker's namespaces with the harness's own while the attacker
// holds. The user namespace counts only where the container is said to have one.
func NamespacesDiffer(s *Stage) (*Watch, error) {
	want, shared := NamespaceNames, []string(nil)
	if s.Rung == spec.Namespaces || s.Rung == spec.Limits {
		want = slices.DeleteFunc(slices.Clone(want), func(n string) bool { return n == "user" })
	}
	w := &Watch{
		Hold: func(_ context.Context, _ string, a *Subject) error {
			for _, name := range NamespaceNames {
				theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a.PID, name))
				if err != nil {
					return fmt.Errorf("read namespace of the attacker: %w", err)
				}
				ours, err := os.Readlink("/proc/self/ns/" + name)
				if err != nil {
					return fmt.Errorf("read our namespace: %w", err)
				}
				if theirs == ours && slices.Contains(want, name) {
					shared = append(shared, name)
				}
			}
			return nil
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) {
			if len(shared) > 0 {
				return Finding{Breached: true, Evidence: "shared with the host: " + strings.Join(shared, ", ")}, nil
			}
			return Finding{Evidence: fmt.Sprintf("none of its %d namespaces is the host's", len(want))}, nil
		},
	}
	return w, nil
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"cellwall/suites/attack"
)

// UserNamespaceKept looks whether a child of the attacker is in another user namespace.
func UserNamespaceKept(*Stage) (*Watch, error) {
	nested := 0
	return &Watch{
		Hold: func(_ context.Context, _ string, a *Subject) error {
			own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", a.PID))
			if err != nil {
				return fmt.Errorf("read namespace of the attacker: %w", err)
			}
			pids, err := a.others()
			if err != nil {
				return err
			}
			for _, pid := range pids {
				is, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
				if err != nil {
					return fmt.Errorf("read namespace of the attacker's child: %w", err)
				}
				if is != own {
					nested++
				}
			}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			f := Finding{Evidence: fmt.Sprintf("%d children of the attacker are in a user namespace of their own", nested)}
			return f.of(part{"one of the two ways", nested > 0}, part{"the other way", nested > 1}), MustTry(r, "clone CLONE_NEWUSER", "unshare CLONE_NEWUSER")
		},
	}, nil
}

// hardLimits reads the hard limits of a process by their names: the third column of
// proc_pid_limits(5), whose names are 25 characters wide.
func hardLimits(text string) (map[string]string, error) {
	const name = 25
	limits := map[string]string{}
	for line := range strings.Lines(text) {
		if len(line) <= name || strings.HasPrefix(line, "Limit") {
			continue
		}
		fields := strings.Fields(line[name:])
		if len(fields) < 2 {
			return nil, fmt.Errorf("read limits: %q", line)
		}
		limits[strings.TrimSpace(line[:name])] = fields[1]
	}
	return limits, nil
}

// RlimitsKept looks whether a hard limit of the attacker changes.
func RlimitsKept(*Stage) (*Watch, error) {
	read := func(a *Subject) (map[string]string, error) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", a.PID))
		if err != nil {
			return nil, fmt.Errorf("read limits of the attacker: %w", err)
		}
		return hardLimits(string(b))
	}
	var before, after map[string]string
	return &Watch{
		Ready: func(_ context.Context, a *Subject) (err error) { before, err = read(a); return err },
		Hold:  func(_ context.Context, _ string, a *Subject) (err error) { after, err = read(a); return err },
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "setrlimit", "prlimit"); err != nil {
				return Finding{}, err
			}
			if len(before) == 0 || len(after) != len(before) {
				return Finding{}, errors.New("the limits could not be read")
			}
			return rlimitsFinding(before, after), nil
		},
	}, nil
}

func rlimitsFinding(before, after map[string]string) Finding {
	var changed []string
	for name, was := range before {
		if is := after[name]; is != was {
			changed = append(changed, fmt.Sprintf("%s from %s to %s", name, was, is))
		}
	}
	slices.Sort(changed)
	if len(changed) > 0 {
		return Finding{Breached: true, Evidence: "hard limits changed: " + strings.Join(changed, ", ")}
	}
	return Finding{Evidence: fmt.Sprintf("all %d hard limits are what they were", len(before))}
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// CgroupPathUnknown looks for the container's name in what the attacker read: every runtime makes
// it a part of the cgroup's path on the host.
func CgroupPathUnknown(s *Stage) (*Watch, error) {
	return &Watch{
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "open /proc/self/cgroup"); err != nil {
				return Finding{}, err
			}
			holds := func(text string) bool { return strings.Contains(text, s.Name) }
			if slices.ContainsFunc(r.Saw, holds) {
				return Finding{Breached: true, Evidence: "the attacker returned the path of its cgroup on the host"}, nil
			}
			return Finding{Evidence: fmt.Sprintf("the cgroup's name %s is not in the %d texts that the attacker returned", s.Name, len(r.Saw))}, nil
		},
	}, nil
}

// runtimeVariables are those that runtimes add on their own account: runc and crun set HOME, and
// engines the others. Their values must not be the launcher's.
var runtimeVariables = []string{"HOME", "HOSTNAME", "TERM", "container"}

// foreign lists the variables of an environment block that are neither wanted nor a runtime's own, by
// their names: their values are the launcher's business. Those of the launcher hold the nonce.
func foreign(block string, want []string, nonce string) []string {
	var names []string
	for v := range strings.SplitSeq(block, "\x00") {
		name, value, _ := strings.Cut(v, "=")
		own := slices.Contains(runtimeVariables, name) && !strings.Contains(value, nonce)
		if v != "" && !slices.Contains(want, v) && !own {
			names = append(names, name)
		}
	}
	return names
}

// setenv gives the launcher a variable until the stage's end.
func (s *Stage) setenv(name, value string) error {
	old, had := os.LookupEnv(name)
	if err := os.Setenv(name, value); err != nil {
		return fmt.Errorf("set a variable of the launcher: %w", err)
	}
	s.Undo.Push("restore a variable of the launcher", func() error {
		if had {
			return os.Setenv(name, old)
		}
		return os.Unsetenv(name)
	})
	return nil
}

// EnvironmentClean compares the environment and the umask of init with those of the spec.
func EnvironmentClean(s *Stage) (*Watch, error) {
	want := spec.New(s.Rung, spec.Options{Rootfs: s.Rootfs, Args: []string{"/"}}).Process.Env
	const defaultUmask = "0022" // what every runtime sets where the spec is silent
	// A launcher that has nothing but what the spec says would have nothing to leak.
	for _, name := range append(slices.Clone(runtimeVariables), "CELLWALL_"+s.Nonce) {
		if err := s.setenv(name, s.Nonce); err != nil {
			return nil, err
		}
	}
	var more []string
	var umask string
	seen := false
	return &Watch{
		Prepare: func() error {
			const other = 0o007
			// The thread's own, since the threads of a process share theirs.
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("take another umask: %w", err)
			}
			unix.Umask(other)
			return nil
		},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			block, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", a.PID))
			if err != nil {
				return fmt.Errorf("read environment of init: %w", err)
			}
			args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", a.PID))
			if err != nil {
				return fmt.Errorf("read arguments of init: %w", err)
			}
			if n := strings.Count(string(args), "\x00"); n != attack.Arguments {
				more = append(more, fmt.Sprintf("%d arguments instead of %d", n, attack.Arguments))
			}
			text, err := statusOf(a.PID)
			if err != nil {
				return err
			}
			seen = strings.Contains(string(block), want[0])
			more, umask = append(more, foreign(string(block), want, s.Nonce)...), StatusField(text, "Umask:")
			return nil
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) {
			if !seen {
				return Finding{}, errors.New("init has not the environment of its spec")
			}
			if len(more) > 0 || umask != defaultUmask {
				return Finding{Breached: true, Evidence: fmt.Sprintf("init has %q beyond its spec, and the umask %s", more, umask)}, nil
			}
			return Finding{Evidence: "init has the variables of its spec and no others, and the umask " + umask}, nil
		},
	}, nil
}

// address is a number of 64 bits as the kernel prints a pointer, with or without 0x.
var address = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b(?:0x)?([0-9a-f]{16})\b`) })

// kernelAddresses counts the addresses in the kernel's half of memory. A hashed pointer has 32
// bits (ptr_to_id in lib/vsprintf.c), a hidden one is 0.
func kernelAddresses(text string) int {
	n := 0
	for _, m := range address().FindAllStringSubmatch(text, -1) {
		if v, err := strconv.ParseUint(m[1], 16, 64); err == nil && v >= 1<<63 {
			n++
		}
	}
	return n
}

// AddressesHidden counts addresses in what the attacker read.
func AddressesHidden(*Stage) (*Watch, error) {
	restrict, err := os.ReadFile("/proc/sys/kernel/kptr_restrict")
	if err != nil {
		return nil, fmt.Errorf("read kptr_restrict: %w", err)
	}
	if strings.TrimSpace(string(restrict)) == "2" {
		return nil, kernel.Unsupported("kernel.kptr_restrict is 2: addresses are hidden from everybody")
	}
	return &Watch{
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "open /proc/kallsyms"); err != nil {
				return Finding{}, err
			}
			n := 0
			for _, text := range r.Saw {
				n += kernelAddresses(text)
			}
			return Finding{
				Breached: n > 0,
				Evidence: fmt.Sprintf("%d kernel addresses are in the %d texts that the attacker returned", n, len(r.Saw)),
			}, nil
		},
	}, nil
}

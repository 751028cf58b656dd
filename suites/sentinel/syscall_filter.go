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

// onlyChild is the one child of the attacker. One that has not spoken is waited for until it has
// ended: its parent leaves it a zombie.
func onlyChild(ctx context.Context, a *Subject, spoke bool) (pid int, err error) {
	children, err := a.children()
	if err != nil {
		return 0, err
	}
	if len(children) != 1 {
		return 0, fmt.Errorf("the attacker has %d children, not one", len(children))
	}
	if spoke {
		return children[0], nil
	}
	fd, err := unix.PidfdOpen(children[0], 0)
	if err != nil {
		return 0, fmt.Errorf("watch the attacker's child: %w", err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close() //nolint:errcheck // nothing was written
	const step = 100
	for ctx.Err() == nil {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, step)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, fmt.Errorf("watch the attacker's child: %w", err)
		}
		if n > 0 {
			return children[0], nil
		}
	}
	return 0, fmt.Errorf("the attacker's child neither speaks nor ends: %w", ctx.Err())
}

// endedByFilter returns an error unless the filter ended a process that its parent has not waited for.
func endedByFilter(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("ask how the attacker's child ended: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	status, err := kernel.ExitStatus(pid, fd)
	if err != nil {
		return fmt.Errorf("ask how the attacker's child ended: %w", err)
	}
	if status.Signal() != unix.SIGSYS {
		return fmt.Errorf("the attacker's child ended by %q, not by the filter", unix.SignalName(status.Signal()))
	}
	return nil
}

// AllFiltered reads the seccomp mode of every thread of the attacker and of its child.
func AllFiltered(*Stage) (*Watch, error) {
	var finding Finding
	return &Watch{
		Hold: func(ctx context.Context, name string, a *Subject) error {
			child, err := onlyChild(ctx, a, name == "spoke")
			if err != nil {
				return err
			}
			var free []string
			threads := 0
			for _, pid := range []int{a.PID, child} {
				tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
				if err != nil {
					return fmt.Errorf("list threads: %w", err)
				}
				if len(tasks) < 4 {
					return fmt.Errorf("process %d of the attacker has only %d threads", pid, len(tasks))
				}
				for _, task := range tasks {
					mode, err := procStatus(task, "Seccomp:")
					if err != nil {
						return err
					}
					if threads++; mode != strconv.Itoa(unix.SECCOMP_MODE_FILTER) {
						free = append(free, filepath.Base(task))
					}
				}
			}
			finding = Finding{
				Breached: len(free) > 0,
				Evidence: fmt.Sprintf("%d of %d threads, before and after execve, are under no filter", len(free), threads),
			}
			return nil
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) { return seen(finding) },
	}, nil
}

// seen is what a hold has found. Without a hold there is nothing.
func seen(f Finding) (Finding, error) {
	if f.Evidence == "" {
		return f, errors.New("the attacker did not get to its hold")
	}
	return f, nil
}

// personalityOf reads /proc/PID/personality.
func personalityOf(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/personality", pid))
	if err != nil {
		return 0, fmt.Errorf("read personality of the attacker: %w", err)
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 16, 64)
}

// FilterKept counts the attacker's filters before and after it tries to loosen them, and looks
// for the effect of the denied call on it and on its child.
func FilterKept(*Stage) (*Watch, error) {
	filters := func(pid int) (int, error) {
		n, err := procStatus(fmt.Sprintf("/proc/%d", pid), "Seccomp_filters:")
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(n) // since Linux 5.9
	}
	var before int
	var usual uint64
	var finding Finding
	return &Watch{
		Ready: func(_ context.Context, a *Subject) (err error) {
			if before, err = filters(a.PID); err != nil {
				return err
			}
			usual, err = personalityOf(a.PID)
			return err
		},
		Hold: func(ctx context.Context, name string, a *Subject) error {
			child, err := onlyChild(ctx, a, name == "spoke")
			if err != nil {
				return err
			}
			var wrong, counts []string
			for _, pid := range []int{a.PID, child} {
				n, err := filters(pid)
				if err != nil {
					return err
				}
				p, err := personalityOf(pid)
				if err != nil {
					return err
				}
				counts = append(counts, strconv.Itoa(n))
				if n < before {
					wrong = append(wrong, fmt.Sprintf("process %d has %d filters", pid, n))
				}
				if p != usual {
					wrong = append(wrong, fmt.Sprintf("process %d has personality %#x", pid, p))
				}
			}
			finding = Finding{
				Breached: len(wrong) > 0,
				Evidence: fmt.Sprintf("%d filters before, %s after loosening and execve; %s", before, strings.Join(counts, " and "), orNone(wrong)),
			}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "prctl PR_SET_SECCOMP", "add a filter", "personality"); err != nil {
				return Finding{}, err
			}
			return seen(finding)
		},
	}, nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "the denied call had no effect"
	}
	return strings.Join(list, ", ")
}

// killRule is what the spec of KilledByRule says of get_mempolicy(2).
const killRule = "get_mempolicy"

// KilledByRule adds a rule that kills for a harmless call and looks how the attacker's child ended.
func KilledByRule(*Stage) (*Watch, error) {
	var finding Finding
	return &Watch{
		Edits: spec.Edits{AnswerKillRule(specs.ActKillProcess)},
		Hold: func(ctx context.Context, name string, a *Subject) error {
			child, err := onlyChild(ctx, a, name == "spoke")
			if err != nil {
				return err
			}
			if name == "spoke" {
				finding = Finding{Breached: true, Evidence: fmt.Sprintf("process %d made the call and is alive", child)}
				return nil
			}
			if err := endedByFilter(child); err != nil {
				return err
			}
			finding = Finding{Evidence: fmt.Sprintf("process %d, all threads of it, was ended by SIGSYS", child)}
			return nil
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) { return seen(finding) },
	}, nil
}

// AnswerKillRule gives the call of KilledByRule an action of its own.
func AnswerKillRule(action specs.LinuxSeccompAction) spec.Edit {
	return spec.Change(string(action)+" for "+killRule, func(s *specs.Spec) {
		if s.Linux.Seccomp == nil {
			return
		}
		rules := slices.DeleteFunc(s.Linux.Seccomp.Syscalls, func(r specs.LinuxSyscall) bool { return slices.Equal(r.Names, []string{killRule}) })
		s.Linux.Seccomp.Syscalls = append(rules, specs.LinuxSyscall{Names: []string{killRule}, Action: action})
	})
}

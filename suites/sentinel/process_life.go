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
	"time"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// descendants is how many processes an init leaves behind in its session.
const descendants = 2

// death watches an init and those it leaves behind, each by a pidfd.
type death struct {
	init   int
	others []int
	immune bool // init has outlived the kill from inside
}

// InitDies kills the attacker from the host once it has outlived the kill from inside, and looks
// whether all that it left behind went with it.
func InitDies(s *Stage) (*Watch, error) {
	d := &death{init: -1}
	s.Undo.Push("close pidfds", d.close)
	const orphansEnd = 20 * time.Second
	return &Watch{
		Target: attack.Target{Count: descendants, For: orphansEnd},
		Hold: func(_ context.Context, name string, a *Subject) error {
			if name == "tree" {
				return d.open(a)
			}
			d.immune = true
			return unix.PidfdSendSignal(d.init, unix.SIGKILL, nil, 0)
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) {
			return Finding{}, errors.New("the attacker was not killed")
		},
		Killed: d.look,
	}, nil
}

func (d *death) open(a *Subject) (err error) {
	if d.init, err = unix.PidfdOpen(a.PID, 0); err != nil {
		return fmt.Errorf("open pidfd of init: %w", err)
	}
	pids, err := a.others()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return fmt.Errorf("open pidfd of a descendant: %w", err)
		}
		d.others = append(d.others, fd)
	}
	if len(d.others) != descendants {
		return fmt.Errorf("the attacker left %d processes behind, not %d", len(d.others), descendants)
	}
	return nil
}

func (d *death) close() error {
	var errs []error
	for _, fd := range append(slices.Clone(d.others), d.init) {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

// look counts who is left. The kernel lets an init go only after all of its namespace have gone
// (zap_pid_ns_processes), and init has been reaped, so nothing has to be waited for.
func (d *death) look(context.Context, *Subject) (Finding, error) {
	if len(d.others) != descendants {
		return Finding{}, errors.New("the attacker died before it had left anything behind")
	}
	left := 0
	for _, fd := range d.others {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		if err != nil {
			return Finding{}, fmt.Errorf("look at a descendant: %w", err)
		}
		if n == 0 {
			left++
		}
	}
	how := "killed from outside"
	if !d.immune {
		how = "killed from inside"
	}
	f := Finding{Evidence: fmt.Sprintf("init was %s; %d of %d descendants outlived it", how, left, descendants)}
	return f.of(part{"the kill from inside", !d.immune}, part{"outliving init", left > 0}), nil
}

// chosenPID is far above what a container's processes count up to, and below the smallest pid_max
// (32768, proc_sys_kernel(5)).
const chosenPID = 20011

// PIDUnchosen looks for children of the attacker that have one of the pids that it asked for.
func PIDUnchosen(*Stage) (*Watch, error) {
	var chosen []string
	own := false // the attacker is the init of a pid namespace: only then it tries the sysctl
	return &Watch{
		Target: attack.Target{Count: chosenPID},
		Ready: func(_ context.Context, a *Subject) error {
			pids, err := a.status("NSpid:")
			own = strings.HasSuffix(pids, "\t1") && exists("/proc/sys/kernel/ns_last_pid") // CONFIG_CHECKPOINT_RESTORE
			return err
		},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			pids, err := a.others()
			if err != nil {
				return err
			}
			for _, pid := range pids {
				text, err := statusOf(pid)
				if err != nil {
					return err
				}
				own := strings.Fields(StatusField(text, "NSpid:"))
				n, err := strconv.Atoi(own[len(own)-1])
				if err != nil {
					return fmt.Errorf("read NSpid: %w", err)
				}
				if n == chosenPID || n == chosenPID+attack.LastPIDStep {
					chosen = append(chosen, strconv.Itoa(n))
				}
			}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "clone3 set_tid"); err != nil {
				return Finding{}, err
			}
			parts := []part{{"clone3", slices.Contains(chosen, strconv.Itoa(chosenPID))}}
			if own {
				if err := MustTry(r, "write ns_last_pid"); err != nil {
					return Finding{}, err
				}
				parts = append(parts, part{"ns_last_pid", slices.Contains(chosen, strconv.Itoa(chosenPID+attack.LastPIDStep))})
			}
			f := Finding{Evidence: "no child of the attacker has a pid that it chose"}
			if len(chosen) > 0 {
				f.Evidence = "a child of the attacker has the pid it chose: " + strings.Join(chosen, ", ")
			}
			return f.of(parts...), nil
		},
	}, nil
}

// OOMScoreKept looks whether the attacker's oom_score_adj sinks.
func OOMScoreKept(*Stage) (*Watch, error) {
	var before, after int
	read := func(a *Subject) (int, error) {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(a.PID), "oom_score_adj"))
		if err != nil {
			return 0, fmt.Errorf("read oom_score_adj of the attacker: %w", err)
		}
		return strconv.Atoi(strings.TrimSpace(string(b)))
	}
	return &Watch{
		Ready: func(_ context.Context, a *Subject) (err error) { before, err = read(a); return err },
		Hold:  func(_ context.Context, _ string, a *Subject) (err error) { after, err = read(a); return err },
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			return Finding{
				Breached: after < before,
				Evidence: fmt.Sprintf("the attacker's oom_score_adj was %d and is %d", before, after),
			}, MustTry(r, "write -500 to oom_score_adj")
		},
	}, nil
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cellwall/runtime/cgroup"
	"cellwall/suites/attack"
)

const (
	counters     = 4
	freezeWindow = 50 * time.Millisecond
	// freezeSlack is CPU time that a task may still be charged on its way into the freezer, up to a tick: one that
	// is not frozen takes all of the window.
	freezeSlack = cpuTick
)

// StandsStill freezes a group of the trial's own, below which the runtime makes the container, while its
// processes count and thaw what they may, and looks at their counters over a window.
//
// The manager freezes, and the kernel stops whom it finds there: that all of the container's
// processes are there is what is tried. In the control one of them is elsewhere.
func StandsStill(s *Stage) (*Watch, error) {
	parent, err := s.parent("frozen", cgroup.Limits{})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.Rootfs, "counters")
	if err := os.WriteFile(file, make([]byte, counters*attack.CounterSlot), 0o600); err != nil {
		return nil, fmt.Errorf("make counters: %w", err)
	}
	if err := os.Chmod(file, 0o666); err != nil { // every uid may count
		return nil, fmt.Errorf("make counters: %w", err)
	}
	read := func() ([]uint64, error) {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		return attack.Counters(b, counters), nil
	}
	var finding Finding
	return &Watch{
		Parent: parent,
		Edits:  s.cgroupMount(),
		Target: attack.Target{Count: counters, Name: s.Name, For: 5 * time.Second},
		Ready:  func(_ context.Context, a *Subject) error { return s.delegate(a) },
		Hold: func(ctx context.Context, _ string, a *Subject) (err error) {
			counted, err := read()
			if err != nil {
				return err
			}
			if len(counted) != counters || slices.Contains(counted, 0) {
				return fmt.Errorf("not all of the attacker's processes count: %v", counted)
			}
			if s.Has(ChildrenElsewhere) {
				if err := s.oneElsewhere(a); err != nil {
					return err
				}
			}
			if err := parent.Freeze(ctx); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, parent.Thaw(context.WithoutCancel(ctx))) }()
			before, err := read()
			if err != nil {
				return err
			}
			usage, err := a.Group.Stat()
			if err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(freezeWindow):
			}
			after, err := read()
			if err != nil {
				return err
			}
			usageAfter, err := a.Group.Stat()
			if err != nil {
				return err
			}
			ran := time.Duration(usageAfter.CPU.UsageUsec-usage.CPU.UsageUsec) * time.Microsecond
			finding = Finding{
				Breached: !slices.Equal(before, after) || ran > freezeSlack,
				Evidence: fmt.Sprintf("in %s the %d counters went from %d to %d, the cgroup ran for %s", freezeWindow, counters, before, after, ran),
			}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "thaw"); err != nil {
				return Finding{}, err
			}
			if finding.Evidence == "" {
				return Finding{}, errors.New("the attacker did not get to count")
			}
			return finding, nil
		},
	}, nil
}

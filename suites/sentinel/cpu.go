package sentinel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// Bandwidth of the baits. The kernel enforces it at ticks and pays back later what was too much,
// so that a window may see a tick too much on each CPU; a tick is at most 10 ms, but comes late on a
// host that is a stalled machine of another's. A window of 125 ms allows 80 ms: twice the quota gives 100.
// In one of 500 ms, which allows 230, what was paid back late does not count any more.
const (
	cpuPeriod   = 25 * time.Millisecond
	cpuQuota    = 10 * time.Millisecond
	cpuTick     = 10 * time.Millisecond
	cpuSpinners = 2
	cpuWindow   = 125 * time.Millisecond
	cpuSure     = 500 * time.Millisecond
	// cpuPatience is how long a busy host may take to give the attacker what it needs.
	cpuPatience = 5 * time.Second
)

// until asks again and again, while the attacker spins, until something shows or the time is up.
func until(ctx context.Context, shows func() (bool, error)) error {
	const step = 5 * time.Millisecond // no event tells how much CPU time was used
	for end := time.Now().Add(cpuPatience); ; {
		if ok, err := shows(); ok || err != nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(step):
		}
	}
}

// spent is the CPU time that a group used between two holds.
type spent struct {
	group  *cgroup.Group
	at     time.Time
	before cgroup.CPUStat
	window time.Duration
	cpu    cgroup.CPUStat
}

// begin and end take the time outside of what they measure: a busy host may stop us in between.
func (u *spent) begin() error {
	u.at = time.Now()
	stat, err := u.group.Stat()
	u.before = stat.CPU
	return err
}

func (u *spent) end() error {
	stat, err := u.group.Stat()
	u.window, u.cpu = time.Since(u.at), stat.CPU
	u.cpu.UsageUsec -= u.before.UsageUsec
	u.cpu.NrPeriods -= u.before.NrPeriods
	u.cpu.NrThrottled -= u.before.NrThrottled
	u.cpu.NrBursts -= u.before.NrBursts
	u.cpu.BurstUsec -= u.before.BurstUsec
	return err
}

// hold measures the attacker's group, or another one if there is one already.
func (u *spent) hold(_ context.Context, name string, a *Subject) error {
	switch name {
	case "begin":
		if u.group == nil {
			u.group = a.Group
		}
		return u.begin()
	case "spun":
		return u.end()
	}
	return nil
}

func (u *spent) usage() time.Duration { return time.Duration(u.cpu.UsageUsec) * time.Microsecond }

// WithoutParentQuota is an edit of QuotaKept's: the group above the container's has no quota.
const WithoutParentQuota = "no CPU quota for the parent"

// QuotaKept measures the CPU time of a container with a quota of its own, and of one without that
// lies below a group with one.
func QuotaKept(s *Stage) (*Watch, error) {
	var own, parent spent
	probe := s.second("throttle")
	quota := func(q int64) spec.Edits {
		return s.limited(func(sp *specs.Spec) {
			period := uint64(cpuPeriod.Microseconds())
			sp.Linux.Resources.CPU = &specs.LinuxCPU{Period: &period}
			if q > 0 {
				sp.Linux.Resources.CPU.Quota = &q
			}
		})
	}
	target := attack.Target{Count: cpuSpinners, For: cpuPatience + time.Second}
	w := &Watch{Edits: quota(cpuQuota.Microseconds()), Target: target, Hold: own.spinning}
	w.Look = func(ctx context.Context, a *Subject, r attack.Record) (Finding, error) {
		f, err := own.judge("its own quota")
		if f.Breached || err != nil {
			return f, err
		}
		stat, err := a.Group.Stat()
		if err != nil {
			return f, err
		}
		said, err := probe.says(a.Group, stat.CPU.NrThrottled, time.Duration(stat.CPU.ThrottledUsec)*time.Microsecond)
		if err != nil {
			return f, err
		}
		f.Evidence += "; " + said
		var limits cgroup.Limits
		if s.Rung.Covers(spec.Limits) && !s.Has(WithoutParentQuota) {
			limits.CPUMax = cgroup.CPUMax{Quota: cpuQuota, Period: cpuPeriod}
		}
		if parent.group, err = s.parent("parent", limits); err != nil {
			return f, err
		}
		below := &Watch{Edits: quota(0), Target: target, Hold: parent.spinning, Parent: parent.group}
		below.Look = func(context.Context, *Subject, attack.Record) (Finding, error) {
			return parent.judge("its parent's quota")
		}
		g, err := s.Launch(ctx, s.Name+"-below", below)
		return Finding{Breached: g.Breached, Evidence: f.Evidence + "; " + g.Evidence}, errors.Join(err, MustTry(r, "spin"))
	}
	return w, nil
}

// spinning measures the attacker's group, or another one, until it is beyond the quota, or was throttled
// for a while. On a busy host the first takes long, and is seen from the beginning on; the second may not
// come in one window, and is asked of each.
func (u *spent) spinning(ctx context.Context, _ string, a *Subject) error {
	if u.group == nil {
		u.group = a.Group
	}
	if err := u.begin(); err != nil {
		return err
	}
	whole := *u
	return until(ctx, func() (bool, error) {
		if err := errors.Join(u.end(), whole.end()); err != nil {
			return false, err
		}
		if whole.exceeds() {
			*u = whole
			return true, nil
		}
		if u.window >= cpuWindow && !u.shows() {
			return false, u.begin()
		}
		return u.shows(), nil
	})
}

// shows reports whether a window shows a quota that is kept.
func (u *spent) shows() bool { return u.window >= cpuWindow && u.usage() <= u.allowed() && u.met() }

// met reports whether the attacker used up its quota in four of five periods: one that a busy host
// keeps waiting says nothing of a quota.
func (u *spent) met() bool {
	return u.cpu.NrThrottled > 0 && 5*u.cpu.NrThrottled >= 4*u.cpu.NrPeriods
}

// allowed is the most that the quota gives in the window.
func (u *spent) allowed() time.Duration {
	return time.Duration(u.window/cpuPeriod+1)*cpuQuota + cpuSpinners*cpuTick
}

// exceeds reports whether a window is beyond the quota, by far or for long.
func (u *spent) exceeds() bool {
	return u.usage() > 2*u.allowed() || u.window >= cpuSure && u.usage() > u.allowed()
}

func (u *spent) judge(what string) (Finding, error) {
	f := Finding{
		Breached: u.exceeds(),
		Evidence: fmt.Sprintf("with %s it used %v of CPU time in %v (%v allowed) and was throttled %d times", what, u.usage(), u.window.Round(time.Millisecond), u.allowed(), u.cpu.NrThrottled),
	}
	if !f.Breached && !u.shows() {
		return f, fmt.Errorf("the attacker did not get to %s: within %v there was no window of %v within the quota in which it was throttled in four of five periods: is the host busy?", what, cpuPatience, cpuWindow)
	}
	return f, nil
}

const (
	burstPeriod = 25 * time.Millisecond
	burstQuota  = 5 * time.Millisecond
	burstBait   = time.Millisecond
	burstIdle   = 60 * time.Millisecond
	burstWindow = 55 * time.Millisecond
)

// WithBurst gives the container a burst allowance.
func WithBurst(d time.Duration) spec.Edit {
	return spec.Change(fmt.Sprintf("a burst of %v", d), func(sp *specs.Spec) {
		if sp.Linux.Resources != nil && sp.Linux.Resources.CPU != nil {
			n := uint64(d.Microseconds())
			sp.Linux.Resources.CPU.Burst = &n
		}
	})
}

// BurstQuota is the quota of BurstKept's bait, and the most that a burst can be.
const BurstQuota = burstQuota

// BurstKept reads how much CPU time beyond its quota the attacker got in the periods in which it
// got some, after it had idled.
func BurstKept(s *Stage) (*Watch, error) {
	var u spent
	w := &Watch{Target: attack.Target{Count: cpuSpinners, For: burstWindow, Bytes: int64(burstIdle)}, Hold: u.hold}
	w.Edits = append(s.limited(func(sp *specs.Spec) {
		quota, period := burstQuota.Microseconds(), uint64(burstPeriod.Microseconds())
		sp.Linux.Resources.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}), WithBurst(burstBait))
	w.Look = func(_ context.Context, a *Subject, r attack.Record) (Finding, error) {
		stat, err := a.Group.Stat()
		if err != nil {
			return Finding{}, err
		}
		if err := lacking(stat.Lacks, "cpu.stat nr_bursts"); err != nil {
			return Finding{}, err
		}
		burst := time.Duration(u.cpu.BurstUsec) * time.Microsecond
		f := Finding{
			Breached: burst > time.Duration(u.cpu.NrBursts)*burstBait || u.outbursts(),
			Evidence: fmt.Sprintf("with a burst of %v in each period it got %v in %d periods, of %v of CPU time in all", burstBait, burst, u.cpu.NrBursts, u.usage()),
		}
		if !f.Breached && u.cpu.NrBursts == 0 {
			return f, errors.New("the attacker did not get to its burst: nr_bursts is 0")
		}
		return f, MustTry(r, "spin")
	}
	return w, nil
}

// outbursts reports whether the attacker used more CPU time than quota and bursts allow together. A busy
// host may keep it spinning for longer than it means to; what it idled before is no part of that.
func (u *spent) outbursts() bool {
	spun := max(u.window-burstIdle, burstWindow)
	return u.usage() > (spun/burstPeriod+2)*(burstQuota+burstBait)+cpuSpinners*cpuTick
}

package bench

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// cpuPeriod is that of every quota here: the kernel's default.
const cpuPeriod = 100 * time.Millisecond

// throttleRows are how exactly a CPU quota is met, by quota in percent of a CPU and by threads that want
// all they can get.
func throttleRows() []*Benchmark {
	var rows []*Benchmark
	for _, quota := range []int{5, 20, 50, 150} {
		for _, threads := range []int{1, 2, 8} {
			if 100*threads < quota {
				continue // they could not use it up
			}
			rows = append(rows, &Benchmark{
				Name: fmt.Sprintf("throttle.%d-by-%d", quota, threads), Unit: record.Ratio, Better: record.One,
				Doc:  fmt.Sprintf("the CPU time that %d busy threads get in %s over their quota of %d %% of a CPU", threads, throttleWindow, quota),
				Open: openThrottle(quota, threads), Controllers: []string{"cpu"},
				Control: measuring(toExit), ControlUnit: record.Seconds,
			})
		}
	}
	for _, quota := range []int{5, 20, 50} {
		rows = append(rows, &Benchmark{
			Name: fmt.Sprintf("throttle.pause-%d", quota), Unit: record.Seconds, Better: record.Lower,
			Doc:  fmt.Sprintf("how long a busy thread stands still when its quota of %d %% of a CPU is used up: each sample is one such pause", quota),
			Open: openPauses(quota), Controllers: []string{"cpu"}, Control: measuring(toExit),
		})
	}
	return rows
}

// throttleWindow is how long a sample looks: ten periods, so that where it begins makes no difference.
const throttleWindow = 10 * cpuPeriod

// withQuota limits CPU time to a share of a CPU, in percent, in each period.
func withQuota(percent float64, period time.Duration) spec.Edit {
	return spec.Change(fmt.Sprintf("a quota of %g %% of a CPU", percent), func(s *specs.Spec) {
		p := uint64(period.Microseconds())
		q := int64(percent / 100 * float64(p))
		resources(s).CPU = &specs.LinuxCPU{Quota: &q, Period: &p}
	})
}

// throttled is a busy load in a container with a quota.
type throttled struct {
	*Env
	launch  func(ctx context.Context, planted float64) (*Guest, error)
	measure func(context.Context, *Guest) (Value, error)
	guest   *Guest
	share   float64 // that was planted when the guest was launched
}

func (t *throttled) Sample(ctx context.Context) (Value, error) {
	if t.guest != nil && t.share != t.planted.Share {
		if err := t.Close(); err != nil {
			return Value{}, err
		}
	}
	if t.guest == nil {
		g, err := t.launch(ctx, t.planted.Share)
		if err != nil {
			return Value{}, err
		}
		t.guest, t.share = g, t.planted.Share
	}
	return t.measure(ctx, t.guest)
}

func (t *throttled) Close() error {
	if t.guest == nil {
		return nil
	}
	g := t.guest
	t.guest = nil
	return g.Close()
}

func openThrottle(quota, threads int) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (Sampler, error) {
		if 100*runtime.NumCPU() < quota {
			return nil, kernel.Unsupported("%d CPUs cannot use up a quota of %d %%", runtime.NumCPU(), quota)
		}
		t := &throttled{Env: e}
		t.launch = func(ctx context.Context, planted float64) (*Guest, error) {
			g, _, err := e.Launch(ctx, load.Spin, []string{strconv.Itoa(threads)}, withQuota(float64(quota)*(1+planted), cpuPeriod))
			return g, err
		}
		t.measure = func(ctx context.Context, g *Guest) (Value, error) {
			if err := g.send(load.Request{Delay: throttleWindow + 2*cpuPeriod}); err != nil {
				return Value{}, err
			}
			used, over, err := usage(ctx, g.Container.Pid())
			if err == nil {
				_, err = g.listen(ctx)
			}
			return Value{Value: used / (float64(quota) / 100 * over), CPU: used}, err
		}
		if _, err := e.bundle([]string{"/" + load.Program}, withQuota(float64(quota), cpuPeriod)); err != nil {
			return nil, err
		}
		return t, nil
	}
}

// usage is the CPU time that the group of a process gets, and the time over which, in seconds. It begins to
// count in the second period, when all threads run.
func usage(ctx context.Context, pid int) (used, over float64, err error) {
	if err := pause(ctx, cpuPeriod); err != nil {
		return 0, 0, err
	}
	start := monotonic()
	before, err := groupStat(pid)
	if err != nil {
		return 0, 0, err
	}
	if err := pause(ctx, throttleWindow); err != nil {
		return 0, 0, err
	}
	end := monotonic()
	after, err := groupStat(pid)
	if err != nil {
		return 0, 0, err
	}
	used = (time.Duration(after.CPU.UsageUsec-before.CPU.UsageUsec) * time.Microsecond).Seconds()
	return used, time.Duration(end - start).Seconds(), nil
}

func openPauses(quota int) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (Sampler, error) {
		t := &throttled{Env: e}
		t.launch = func(ctx context.Context, planted float64) (*Guest, error) {
			period := time.Duration(float64(cpuPeriod) * (1 + planted))
			// Half of what is left of a period: the scheduler's own slices are shorter.
			least := period * time.Duration(100-quota) / 200
			g, _, err := e.Launch(ctx, load.Pauses, []string{strconv.FormatInt(int64(least), 10)}, withQuota(float64(quota), period))
			return g, err
		}
		t.measure = func(ctx context.Context, g *Guest) (Value, error) {
			a, err := g.Ask(ctx, load.Request{N: 1})
			return Value{Value: a.Seconds, CPU: a.CPU}, err
		}
		if _, err := e.bundle([]string{"/" + load.Program}, withQuota(float64(quota), cpuPeriod)); err != nil {
			return nil, err
		}
		return t, nil
	}
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

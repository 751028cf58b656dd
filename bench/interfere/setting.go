package interfere

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// Setting is how a victim and an antagonist are kept apart: the rung of both, and means besides.
type Setting struct {
	Rung  spec.Rung
	Means []Means
}

// Name is the rung and the means: "limits+cpuset+io".
func (s Setting) Name() string {
	name := string(s.Rung)
	for _, m := range s.Means {
		name += "+" + m.Name
	}
	return name
}

// limited reports whether the antagonist has limits.
func (s Setting) limited() bool { return s.Rung.Covers(spec.Limits) || len(s.Means) > 0 }

// Means is a limit, or a guarantee, that no rung has.
type Means struct {
	Name string
	// Doc completes "With it ...".
	Doc string
	// Controllers are the cgroup controllers that it needs.
	Controllers []string
	victim      func(*Host) (spec.Edits, error) // nil: nothing
	antagonist  func(*Host) (spec.Edits, error)
	shaped      bool // the antagonist's link has a token bucket
}

// The numbers of the means.
const (
	mostShares, leastShares = 1 << 18, 2 // cpu.shares: sched(7) has 2 to 262144
	quotaShare              = 10         // percent of a CPU
	quotaPeriod             = 10 * time.Millisecond
	littleMemory            = 64 * mib
	fewTasks                = 64
	diskRate, diskOps       = 4 * mib, 100 // a second
	lowMemory               = 128 * mib
)

// AllMeans lists them.
func AllMeans() []Means {
	return []Means{
		{
			Name: "weight", Doc: fmt.Sprintf("the victim has cpu.shares of %d and the antagonist of %d", mostShares, leastShares), Controllers: []string{"cpu"},
			victim: always(shares(mostShares)), antagonist: always(shares(leastShares)),
		},
		{
			Name: "quota", Doc: fmt.Sprintf("the antagonist has %d %% of a CPU, in periods of %s", quotaShare, quotaPeriod), Controllers: []string{"cpu"},
			antagonist: always(limit("a small quota", func(r *specs.LinuxResources) {
				period := uint64(quotaPeriod.Microseconds())
				quota := int64(period) * quotaShare / 100
				cpu(r).Quota, cpu(r).Period = &quota, &period
			})),
		},
		{
			Name: "cpuset", Doc: "the antagonist has the last CPU for itself, and the victim the others", Controllers: []string{"cpuset"},
			victim: onCPUs(func(n int) string { return fmt.Sprintf("0-%d", n-2) }), antagonist: onCPUs(func(n int) string { return fmt.Sprint(n - 1) }),
		},
		{
			Name: "memory", Doc: fmt.Sprintf("the antagonist has %d MiB of memory", littleMemory/mib), Controllers: []string{"memory"},
			antagonist: always(limit("little memory", func(r *specs.LinuxResources) {
				n := int64(littleMemory)
				r.Memory = &specs.LinuxMemory{Limit: &n, Swap: &n}
			})),
		},
		{
			Name: "low", Doc: fmt.Sprintf("the victim's first %d MiB are protected: memory.low, or the soft limit of v1", lowMemory/mib), Controllers: []string{"memory"},
			victim: always(limit("protected memory", func(r *specs.LinuxResources) {
				n := int64(lowMemory)
				if r.Memory == nil {
					r.Memory = &specs.LinuxMemory{}
				}
				r.Memory.Reservation = &n
			})),
		},
		{
			Name: "pids", Doc: fmt.Sprintf("the antagonist may have %d tasks", fewTasks), Controllers: []string{"pids"},
			antagonist: always(limit("few tasks", func(r *specs.LinuxResources) {
				n := int64(fewTasks)
				r.Pids = &specs.LinuxPids{Limit: &n}
			})),
		},
		{
			Name: "io", Doc: fmt.Sprintf("the antagonist may write %d MiB to the disk in %d operations a second: io.max, or blkio.throttle of v1", diskRate/mib, diskOps),
			Controllers: []string{"io"}, antagonist: func(h *Host) (spec.Edits, error) { return h.slowDisk() },
		},
		{Name: "bandwidth", Doc: fmt.Sprintf("the antagonist's link carries %g MB a second, half of what both share: a token bucket (tc-tbf) at its end on the host", shapedRate/1e6), shaped: true},
	}
}

// ParseMeans reads means with a + between: "cpuset+io".
func ParseMeans(text string) ([]Means, error) {
	var all []Means
	for name := range strings.SplitSeq(text, "+") {
		at := slices.IndexFunc(AllMeans(), func(m Means) bool { return m.Name == name })
		if at < 0 {
			var names []string
			for _, m := range AllMeans() {
				names = append(names, m.Name)
			}
			return nil, fmt.Errorf("means %.40q is none of %s", name, strings.Join(names, ", "))
		}
		if slices.ContainsFunc(all, func(m Means) bool { return m.Name == name }) {
			return nil, fmt.Errorf("means %q is there twice", name)
		}
		all = append(all, AllMeans()[at])
	}
	return all, nil
}

func always(e spec.Edit) func(*Host) (spec.Edits, error) {
	return func(*Host) (spec.Edits, error) { return spec.Edits{e}, nil }
}

// limit changes the resources of a spec, which may have none.
func limit(name string, change func(*specs.LinuxResources)) spec.Edit {
	return spec.Change(name, func(s *specs.Spec) {
		if s.Linux.Resources == nil {
			s.Linux.Resources = &specs.LinuxResources{}
		}
		change(s.Linux.Resources)
	})
}

func cpu(r *specs.LinuxResources) *specs.LinuxCPU {
	if r.CPU == nil {
		r.CPU = &specs.LinuxCPU{}
	}
	return r.CPU
}

func shares(n uint64) spec.Edit {
	return limit(fmt.Sprintf("cpu.shares of %d", n), func(r *specs.LinuxResources) { cpu(r).Shares = &n })
}

// onCPUs gives CPUs by their number on this host.
func onCPUs(list func(cpus int) string) func(*Host) (spec.Edits, error) {
	return func(*Host) (spec.Edits, error) {
		n := runtime.NumCPU()
		if n < 2 {
			return nil, kernel.Unsupported("a cpuset for each: the host has one CPU")
		}
		return spec.Edits{limit("CPUs of its own", func(r *specs.LinuxResources) { cpu(r).Cpus = list(n) })}, nil
	}
}

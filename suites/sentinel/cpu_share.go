package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// Weights on one CPU: the attacker's share is one in five, and one in three where it has twice its
// weight, which is that of its neighbours.
const (
	weightBait      = 50
	weightNeighbour = 100
	weightMost      = 0.265 // halfway
	// weightMinimum is what the three have to get together: one tick, of 10 ms at the most, must not
	// decide.
	weightMinimum = 240 * time.Millisecond
	// weightSettled is what the three get before that. A group's weight on a CPU is in proportion to its load there,
	// and the load of its start on another CPU is forgotten by half in 32 ms: kernel/sched/pelt.c.
	weightSettled = 200 * time.Millisecond
)

// WithWeight sets cpu.weight, and cpu.shares by the kernel's own scale where it is v1's.
func WithWeight(n int) spec.Edit {
	return spec.Change(fmt.Sprintf("a CPU weight of %d", n), func(sp *specs.Spec) {
		if sp.Linux.Resources != nil && sp.Linux.Resources.CPU != nil {
			sp.Linux.Resources.CPU.Shares = nil
			unified(sp, map[string]string{"cpu.weight": strconv.Itoa(n)})
		}
	})
}

// WeightNeighbour is the weight of the neighbours.
const WeightNeighbour = weightNeighbour

// ShareKept measures the CPU time that the attacker gets of a CPU that two neighbours want as well.
func ShareKept(s *Stage) (*Watch, error) {
	cpus, err := ourCPUs()
	if err != nil {
		return nil, err
	}
	cpu := strconv.Itoa(cpus[0])
	longest := cpuPatience + time.Second // so that all three want the CPU at any time
	w := &Watch{Target: attack.Target{Count: 1, For: longest, Extra: cpu}, Edits: s.limited(func(*specs.Spec) {})}
	if w.Edits != nil {
		w.Edits = append(w.Edits, WithWeight(weightBait))
	}
	if s.Sandboxed { // whose kernel does not tell the host's where its processes want to run
		w.Edits = append(w.Edits, s.limited(func(sp *specs.Spec) { sp.Linux.Resources.CPU.Cpus = cpu })...)
	}
	used := []*spent{{}}
	var neighbours []*neighbour
	for i := range 2 {
		g, err := s.group(s.Fence, fmt.Sprintf("neighbour-%d", i), cgroup.Limits{CPUWeight: weightNeighbour})
		if err != nil {
			return nil, err
		}
		n, err := s.neighbour(attack.SpinBeside, attack.Target{Extra: cpu, For: longest}, g)
		if err != nil {
			return nil, err
		}
		neighbours, used = append(neighbours, n), append(used, &spent{group: g})
	}
	var total time.Duration
	w.Hold = func(ctx context.Context, _ string, a *Subject) error {
		used[0].group = a.Group
		for _, n := range neighbours {
			if err := n.begin(); err != nil {
				return err
			}
			if said, err := n.hears(); err != nil || said != "ok" {
				return errors.Join(err, fmt.Errorf("a neighbour does not spin: %s", said))
			}
		}
		for _, least := range []time.Duration{weightSettled, weightMinimum} {
			for _, u := range used {
				if err := u.begin(); err != nil {
					return err
				}
			}
			err := until(ctx, func() (bool, error) {
				total = 0
				for _, u := range used {
					if err := u.end(); err != nil {
						return false, err
					}
					total += u.usage()
				}
				return total >= least, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if total < weightMinimum {
			return Finding{}, fmt.Errorf("the three got %v of CPU time together: too little to compare", total)
		}
		share := float64(used[0].usage()) / float64(total)
		return Finding{
			Breached: share > weightMost,
			Evidence: fmt.Sprintf("it got %.0f %% of %v of CPU time that three wanted; its weight gives %.0f %%, more than %.1f %% is a breach", 100*share, total, 100.0*weightBait/(weightBait+2*weightNeighbour), 100*weightMost),
		}, MustTry(r, "spin")
	}
	return w, nil
}

// ourCPUs are those on which this process may run.
func ourCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("list CPUs: %w", err)
	}
	var cpus []int
	for cpu := range len(set) * strconv.IntSize {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// CPUsKept reads where the attacker's threads last ran, while they wait.
func CPUsKept(s *Stage) (*Watch, error) {
	cpus, err := ourCPUs()
	if err != nil {
		return nil, err
	}
	if len(cpus) < 2 {
		return nil, kernel.Unsupported("only CPU %d may be used", cpus[0])
	}
	own, words := cpus[0], []string(nil)
	for _, c := range cpus {
		words = append(words, strconv.Itoa(c))
	}
	w := &Watch{Target: attack.Target{Extra: strings.Join(words, " ")}}
	w.Edits = s.limited(func(sp *specs.Spec) { sp.Linux.Resources.CPU.Cpus = strconv.Itoa(own) })
	others := map[int]bool{}
	holds := 0
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		holds++
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", a.PID))
		if err != nil {
			return err
		}
		for _, t := range tasks {
			cpu, err := lastCPU(fmt.Sprintf("/proc/%d/task/%s/stat", a.PID, t.Name()))
			if err != nil {
				return err
			}
			if cpu != own {
				others[cpu] = true
			}
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if holds != len(cpus) {
			return Finding{}, fmt.Errorf("the attacker did not get to %d CPUs", len(cpus))
		}
		return Finding{
			Breached: len(others) > 0,
			Evidence: fmt.Sprintf("with CPU %d alone it ran on %d others of %d", own, len(others), len(cpus)-1),
		}, MustTry(r, "sched_setaffinity")
	}
	return w, nil
}

func lastCPU(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	cpu, err := parseLastCPU(string(b))
	if err != nil {
		return 0, fmt.Errorf("parse %s: %w", path, err)
	}
	return cpu, nil
}

func parseLastCPU(stat string) (int, error) {
	const processor = 39
	field, err := kernel.StatField(stat, processor)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(field)
}

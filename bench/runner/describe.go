package runner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
)

// idLength is that of the random part of a run's id.
const idLength = 10

// Describe makes the record of a run that is about to begin, with the state of the host as it is now.
func Describe(ctx context.Context, p Plan, selection []string, effect float64) (_ record.Run, err error) {
	facts, err := kernel.Facts()
	if err != nil {
		return record.Run{}, err
	}
	tree, err := cgroup.Find()
	if err != nil {
		return record.Run{}, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	before, err := HostState()
	if err != nil {
		return record.Run{}, err
	}
	version, err := driver.NewCore(nil).Version(ctx)
	if err != nil {
		return record.Run{}, err
	}
	return record.Run{
		ID: "bench-" + strings.ToLower(rand.Text()[:idLength]), Time: time.Now().UTC(), Version: version,
		Kernel: facts.Release, Machine: facts.Machine, CPUs: facts.CPUs, MemoryBytes: facts.MemoryBytes,
		BootID: facts.BootID, Lockdown: facts.Lockdown,
		CgroupMode: string(tree.Mode()), Controllers: tree.Controllers(), Selection: selection,
		Benching: &record.Benching{Seed: p.Seed, Rule: p.Rule.Words(len(p.Benchmarks)), Effect: effect, Before: before},
	}, nil
}

// Finished completes the record of a run with what its benchmarks say of their runtimes and the state of
// the host as it is now. stopped is why the run is not complete; nil if it is.
func Finished(r *record.Run, benches []record.Bench, stopped error) error {
	after, err := HostState()
	if err != nil {
		return err
	}
	r.Benching.After = after
	if stopped != nil {
		r.Benching.Stopped = strings.Join(strings.Split(fmt.Sprint(stopped), "\n"), "; ")
	}
	for i := range benches {
		b := &benches[i]
		known := slices.ContainsFunc(r.Runtimes, func(rt record.Runtime) bool { return rt.Name == b.Runtime && rt.Version == b.RuntimeVersion })
		if !b.Control && !known {
			r.Runtimes = append(r.Runtimes, record.Runtime{Name: b.Runtime, Version: b.RuntimeVersion, Lacks: b.Lacks})
		}
	}
	return nil
}

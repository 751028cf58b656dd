package judge

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/place"
	"cellwall/suites/attacker"
	"cellwall/suites/claim"
)

// Run is what all trials of one invocation share on the host. Close removes it all.
type Run struct {
	*place.Place
	// Binary is the file of the attacker.
	Binary string

	trials  atomic.Int64
	seconds seconds
	swap    error // of the gate kernel.SwapAccounting
}

// What all containers of a run may have together.
const (
	fencePids   = 1024
	fenceMemory = 1 << 30
)

// NewRun prepares the host, with its lease below dir. It needs root: without it the error says so.
func NewRun(dir string) (_ *Run, err error) {
	p, err := place.Take(dir, fencePids, fenceMemory)
	if err != nil {
		return nil, err
	}
	defer p.Undo.OnError(&err)
	if err := p.Unrestricted(); err != nil {
		return nil, err
	}
	r := &Run{Place: p, Binary: filepath.Join(p.Dir, "attacker"), swap: kernel.SwapAccounting.Check()}
	if err := attacker.Write(r.Binary); err != nil {
		return nil, err
	}
	return r, nil
}

// Judge returns the judge of one runtime.
func (r *Run) Judge(ctx context.Context, rt driver.Runtime) (*Judge, error) {
	if err := claim.Check(rt); err != nil {
		return nil, err
	}
	version, err := rt.Version(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", rt.Name(), err)
	}
	return &Judge{Run: r, Runtime: rt, Version: version}, nil
}

// Record describes the host for the records of the run.
func (r *Run) Record(selection []string, runtimes []record.Runtime, rows int) (record.Run, error) {
	facts, err := kernel.Facts()
	if err != nil {
		return record.Run{}, err
	}
	return record.Run{
		ID: r.Name, Time: time.Now().UTC(),
		Kernel: facts.Release, Machine: facts.Machine, CPUs: facts.CPUs, MemoryBytes: facts.MemoryBytes,
		BootID: facts.BootID, Lockdown: facts.Lockdown,
		CgroupMode: string(r.Tree.Mode()), Controllers: r.Tree.Controllers(),
		Runtimes: runtimes, Selection: selection, CatalogueLen: rows,
	}, nil
}

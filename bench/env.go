package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// Env is what a row is opened with: the place on the host, and what is measured.
type Env struct {
	*Place
	// Runtime makes the containers; in a control it is Host.
	Runtime driver.Runtime
	// Asked is the runtime as the user names it: "runc=/opt/bin/runc".
	Asked string
	Rung  spec.Rung
	// Limit is the C program of runtime/core/testdata/limit.c, built; empty where there is none.
	Limit string
	// Program is the cellwall whose commands are measured; empty is this program.
	Program string

	unit    record.Unit
	planted Planted
	made    atomic.Int64
	// diskRoot is a root directory on the disk, once a row has asked for one.
	diskRoot string
}

// Planted is a slowdown on purpose: each sample does so much more, really, that it shows Share more
// than the Median that was measured without.
type Planted struct {
	Share  float64 `json:"share"`  // 0.05 is 5 %
	Median float64 `json:"median"` // in the row's unit
}

// Plant has samples from now on show a slowdown.
func (e *Env) Plant(p Planted) { e.planted = p }

// extra is by how much a sample is to be worse, in the row's unit. It is 0 where nothing is planted.
func (e *Env) extra() float64 { return e.planted.Share * e.planted.Median }

// delay is the time for which a sample of n operations stands still: for a row in seconds its extra,
// for a rate what makes it that much smaller.
func (e *Env) delay(n int) time.Duration {
	switch {
	case e.planted.Median <= 0:
		return 0
	case e.unit == record.Seconds:
		return time.Duration(e.extra() * float64(time.Second))
	case e.unit == record.PerSecond:
		return time.Duration(float64(n) / e.planted.Median * e.planted.Share * float64(time.Second))
	}
	return 0
}

// name returns a name for a container that no other has.
func (e *Env) name() string { return fmt.Sprintf("%s-%d", e.Place.Name, e.made.Add(1)) }

// bundle is a container of the rung with a program in the place's root directory, and what edits change.
// What the runtime cannot make wraps kernel.ErrNotSupported.
func (e *Env) bundle(args []string, edits ...spec.Edit) (driver.Bundle, error) {
	return e.bundleIn(e.Root, args, edits...)
}

// bundleIn is bundle in another root directory.
func (e *Env) bundleIn(root string, args []string, edits ...spec.Edit) (driver.Bundle, error) {
	o := e.Options
	o.Rootfs, o.Args = root, args
	// What the runtime lacks goes first: an edit that needs it is refused below.
	s, omit := append(e.Runtime.Lacks(), edits...).Apply(spec.New(e.Rung, o))
	if !spec.HasNamespace(s, specs.MountNamespace) {
		s.Mounts = nil // they would be the host's
	}
	b := driver.Bundle{ID: e.name(), Dir: e.Dir, Spec: s, Omit: omit, Parent: e.Fence}
	if err := e.Runtime.Expresses(b); err != nil {
		return driver.Bundle{}, err
	}
	return b, nil
}

// again gives a bundle another name, for the next container made of it.
func (e *Env) again(b driver.Bundle) driver.Bundle {
	b.ID = e.name()
	return b
}

// Open opens a row: its gates first.
func (e *Env) Open(ctx context.Context, b *Benchmark) (Sampler, error) {
	for _, gate := range b.Needs {
		if err := gate.Check(); err != nil {
			return nil, err
		}
	}
	if len(b.Controllers) > 0 {
		if err := e.Tree.Require(b.Controllers...); err != nil {
			return nil, err
		}
	}
	open := b.Open
	e.unit, e.planted = b.Unit, Planted{}
	switch {
	case e.Limit != "" && b.Limit == nil:
		return nil, kernel.Unsupported("the C limit has no part in %s", b.Name)
	case e.Limit != "":
		open = b.Limit
	case e.Runtime == Host() && b.Control != nil:
		open = b.Control
		if b.ControlUnit != "" {
			e.unit = b.ControlUnit
		}
	case e.Runtime == Host():
	case b.Floor != "" && !e.Rung.Covers(b.Floor):
		return nil, kernel.Unsupported("%s makes sense from rung %s on", b.Name, b.Floor)
	case b.ReadsClock && driver.Sandboxed(e.Runtime):
		return nil, kernel.Unsupported("%s reads the clock in the container, and %s has a kernel with a clock of its own", b.Name, e.Runtime.Name())
	}
	s, err := open(ctx, e)
	if err != nil {
		return nil, err // and no pointer to something half made
	}
	return s, nil
}

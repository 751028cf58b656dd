package bench

import (
	"context"
	"time"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/spec"
)

// insideRows are what programs feel of the walls while they run. The control is the same program on the
// host.
func insideRows() []*Benchmark {
	var rows []*Benchmark
	for _, r := range []struct {
		name, load, doc string
		edits           []spec.Edit
		floor           spec.Rung
	}{
		{name: "getpid", load: "getpid", doc: "the time of one getpid(2)"},
		{name: "getpid-unfiltered", load: "getpid", doc: "the time of one getpid(2) without the seccomp filter", edits: []spec.Edit{spec.Unconfined()}, floor: spec.Hardened},
		{name: "open", load: "open", doc: "the time to open and close a file of the root directory"},
		{name: "open-unfiltered", load: "open", doc: "the time to open and close a file without the seccomp filter", edits: []spec.Edit{spec.Unconfined()}, floor: spec.Hardened},
		{name: "fstat", load: "fstat", doc: "the time of one fstat(2) on a file of the root directory"},
		{name: "read-4k", load: "read-4k", doc: "the time to read 4 KiB of a file of the root directory that is in the page cache"},
		{name: "write-4k", load: "write-4k", doc: "the time to write 4 KiB to a file of the root directory, without waiting for a disk"},
		{name: "pipe", load: "pipe", doc: "the time for a byte to another process and back over two pipes"},
		{name: "tcp", load: "tcp", doc: "the time for a byte to another process and back over TCP on the loopback interface"},
		{name: "fork-exec", load: "fork-exec", doc: "the time to start a static program that does nothing and to wait for its end"},
		{name: "fault", load: "fault", doc: "the time to touch a page of fresh anonymous memory, with its share of mmap and munmap"},
	} {
		rows = append(rows, &Benchmark{
			Name: "inside." + r.name, Unit: record.Seconds, Better: record.Lower, Doc: r.doc, Floor: r.floor,
			Open: func(ctx context.Context, e *Env) (Sampler, error) {
				g, n, err := e.Launch(ctx, r.load, nil, r.edits...)
				if err != nil {
					return nil, err
				}
				return &inside{Env: e, guest: g, n: n}, nil
			},
		})
	}
	return rows
}

// inside asks a load for a batch of operations at a time.
type inside struct {
	*Env
	guest *Guest
	n     int // operations in a batch, as the load has found them to last long enough
}

func (s *inside) Sample(ctx context.Context) (Value, error) {
	delay := time.Duration(s.extra() * float64(s.n) * float64(time.Second)) // of the whole batch: one operation's is too short
	a, err := s.guest.Ask(ctx, load.Request{N: s.n, Delay: delay})
	if err != nil {
		return Value{}, err
	}
	n := float64(s.n)
	return Value{Value: a.Seconds / n, CPU: a.CPU / n}, nil
}

func (s *inside) Close() error { return s.guest.Close() }

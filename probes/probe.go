package probes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"cellwall/probes/code"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
)

// Options say what a probe watches.
type Options struct {
	// Cgroups are directories of the hierarchy of the probe's controller. What is in them or in
	// cgroups below them is watched; without any, the whole host is.
	Cgroups []string
	// Each has totals kept of each cgroup below those by itself; else what is below counts for the
	// nearest one that is watched. A cgroup that is gone keeps its place among maxCgroups.
	Each bool
	// Rungs are those to try, all by default.
	Rungs []Rung
	// Slow is the shortest wait that runq tells as an event. Totals count all.
	Slow time.Duration
	// Root is the process whose descendants start follows; its own calls are not told.
	Root int
	// Totals has a probe count only: it tells no events.
	Totals bool
	// Every is how often the rung Files reads, 100 ms by default.
	Every time.Duration
}

// ringBytes is the size of a probe's ring buffer: room for some 2700 events.
const ringBytes = 256 << 10

// maxCgroups is how many cgroups a probe can count at a time.
const maxCgroups = 4096

// Probe is one of Probes, attached to the kernel. It is gone after Close, and so it is when the
// process ends, whatever ends it: nothing is pinned.
type Probe struct {
	kind     *kindOfProbe
	session  *session
	reader   *ringbuf.Reader // nil on the rung Files
	poll     *poller         // nil on the others
	boot     time.Time
	attempts []Attempt
}

// Open attaches the probe of a name; Names lists them. The error tells every rung that was tried,
// and wraps kernel.ErrNotSupported if none could be had.
func Open(name string, o Options) (_ *Probe, err error) {
	k, err := find(name)
	if err != nil {
		return nil, err
	}
	boot, err := booted()
	if err != nil {
		return nil, err
	}
	p := &Probe{kind: k, boot: boot}
	types := btf.NewCache()
	for _, rung := range Rungs() {
		if len(o.Rungs) > 0 && !slices.Contains(o.Rungs, rung) || len(o.Rungs) == 0 && !k.has(rung) {
			continue
		}
		err := p.try(rung, o, types)
		if err == nil {
			return p, nil
		}
		p.attempts = append(p.attempts, Attempt{Rung: rung, Err: err})
		if !errors.Is(err, kernel.ErrNotSupported) {
			break // it is no matter of the rung
		}
	}
	return nil, fmt.Errorf("attach probe %s: %w", name, attemptsError(p.attempts))
}

func attemptsError(attempts []Attempt) error {
	errs := make([]error, 0, len(attempts))
	for _, a := range attempts {
		errs = append(errs, fmt.Errorf("%s: %w", a.Rung, a.Err))
	}
	if len(errs) == 0 {
		return errors.New("no such rung")
	}
	return errors.Join(errs...)
}

// try attaches on one rung, or leaves nothing.
func (p *Probe) try(rung Rung, o Options, types *btf.Cache) (err error) {
	if rung == Files {
		p.poll, err = p.kind.polls(o)
		return err
	}
	open, ok := p.kind.on[rung]
	if !ok {
		return kernel.Unsupported("it has no such rung")
	}
	layout, err := code.KernelLayout(types)
	if err != nil {
		return err
	}
	undo := &cleanup.Stack{}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.Close())
		}
	}()
	s := &session{types: types, layout: layout, rung: rung, all: len(o.Cgroups) == 0, each: o.Each, silent: o.Totals, undo: undo}
	for _, m := range []struct {
		to                  **ebpf.Map
		name                string
		kind                ebpf.MapType
		key, value, entries uint32
	}{
		{&s.events, "events", ebpf.RingBuf, 0, 0, ringBytes},
		{&s.lost, "lost", ebpf.Array, 4, 8, losses},
		{&s.totals, "totals", ebpf.Hash, 8, totalBytes, maxCgroups},
		{&s.zero, "zero", ebpf.Array, 4, totalBytes, 1},
	} {
		if *m.to, err = s.newMap(m.name, m.kind, m.key, m.value, m.entries); err != nil {
			return err
		}
	}
	for _, dir := range o.Cgroups {
		if err := s.watch(dir); err != nil {
			return err
		}
	}
	reader, err := ringbuf.NewReader(s.events)
	if err != nil {
		return fmt.Errorf("read events: %w", unsupported(err))
	}
	undo.Push("close ring buffer", reader.Close)
	if err := open(s, o); err != nil {
		return err
	}
	s.types, s.layout = nil, nil // megabytes, which only loading needs
	p.session, p.reader = s, reader
	return nil
}

// Name is the probe's.
func (p *Probe) Name() string { return p.kind.name }

// Rung is how it is attached.
func (p *Probe) Rung() Rung {
	if p.poll != nil {
		return Files
	}
	return p.session.rung
}

// Attempts are the rungs above that could not be had, with the reason.
func (p *Probe) Attempts() []Attempt { return slices.Clone(p.attempts) }

// Watch adds a cgroup's directory. It needs a probe that was opened with one.
func (p *Probe) Watch(dir string) error {
	if p.poll != nil {
		return p.poll.add(dir)
	}
	return p.session.watch(dir)
}

// CgroupID is the id by which events name the cgroup of a directory.
func CgroupID(dir string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, fmt.Errorf("find cgroup: %w", &os.PathError{Op: "stat", Path: dir, Err: err})
	}
	return st.Ino, nil
}

func (s *session) watch(dir string) error {
	id, err := CgroupID(dir)
	if err != nil {
		return err
	}
	if err := s.totals.Update(id, make([]byte, totalBytes), ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("watch cgroup %s: %w", dir, err)
	}
	return nil
}

// Events yields what the probe sees until ctx is done, and then what is left. An error ends it.
func (p *Probe) Events(ctx context.Context) iter.Seq2[Event, error] {
	if p.poll != nil {
		return p.poll.events(ctx)
	}
	return func(yield func(Event, error) bool) {
		// A flush makes the reader return what is there, and then ErrFlushed.
		stop := context.AfterFunc(ctx, func() { _ = p.reader.Flush() })
		defer stop()
		var record ringbuf.Record
		for {
			err := p.reader.ReadInto(&record)
			switch {
			case errors.Is(err, ringbuf.ErrFlushed) && ctx.Err() != nil, errors.Is(err, ringbuf.ErrClosed):
				return
			case errors.Is(err, ringbuf.ErrFlushed):
				continue
			case err != nil:
				yield(Event{}, fmt.Errorf("read events of %s: %w", p.Name(), err))
				return
			}
			e, err := decode(record.RawSample, p.boot)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Close detaches the probe. Events ends.
func (p *Probe) Close() error {
	if p.poll != nil {
		return nil
	}
	return p.session.undo.Close()
}

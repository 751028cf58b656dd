package probes

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"cellwall/probes/code"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
)

// Keys of the map of losses.
const (
	lostEvents = iota // the ring buffer was full
	lostStates        // a map was full, so that a beginning was not kept
	losses
)

// programName is what bpftool shows.
const programName = "cellwall"

// session is a probe's maps, which all its programs share, and what was attached.
type session struct {
	types  *btf.Cache   // the kernel's, for all programs; nil once they are loaded
	layout *code.Layout // of those types
	rung   Rung
	all    bool      // every cgroup is watched
	each   bool      // those below a watched cgroup count for themselves
	silent bool      // no events are sent
	events *ebpf.Map // ring buffer of raw
	lost   *ebpf.Map // losses by their key
	totals *ebpf.Map // watched cgroup -> Total without its cgroup; whatever is in it is watched
	zero   *ebpf.Map // one empty Total, to begin others with
	undo   *cleanup.Stack
}

// newMap makes a map that ends with the session.
func (s *session) newMap(name string, kind ebpf.MapType, key, value, entries uint32) (*ebpf.Map, error) {
	var m *ebpf.Map
	err := kernel.LockingMemory(func() (err error) {
		m, err = ebpf.NewMap(&ebpf.MapSpec{Name: name, Type: kind, KeySize: key, ValueSize: value, MaxEntries: entries})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make map %s: %w", name, unsupported(err))
	}
	s.undo.Push("close map", m.Close)
	return m, nil
}

// attach writes a program, loads it and attaches it to a tracepoint: with arguments of the kernel's types,
// unless the rung is that without.
func (s *session) attach(point string, write func(*program)) error {
	return s.attachAs(ebpf.AttachTraceRawTp, point, write)
}

// attachAs does so at a tracepoint, or at the entry or exit of a function.
func (s *session) attachAs(kind ebpf.AttachType, point string, write func(*program)) error {
	has := s.layout.Function
	if kind == ebpf.AttachTraceRawTp {
		has = s.layout.Tracepoint
	}
	// What the kernel itself lacks the library would look for in every module: slow, and with
	// CAP_BPF alone not permitted.
	if err := has(point); err != nil {
		return err
	}
	load := code.Direct
	if s.rung == RawTracepoint {
		load = code.Helper
	}
	p := &program{Builder: code.New(s.layout, load), session: s, point: point}
	write(p)
	ins, err := p.Program()
	if err != nil {
		return fmt.Errorf("write program for %s: %w", point, err)
	}
	// Some helpers and all tracing programs are for programs under the GPL; ours are under either.
	spec := &ebpf.ProgramSpec{Name: programName, Type: ebpf.Tracing, AttachType: kind, AttachTo: point, Instructions: ins, License: "Dual MIT/GPL"}
	if s.rung == RawTracepoint {
		spec.Type, spec.AttachType, spec.AttachTo = ebpf.RawTracepoint, ebpf.AttachNone, ""
	}
	loaded, err := s.load(spec)
	if err != nil {
		return fmt.Errorf("load program for %s: %w", point, unsupported(err))
	}
	s.undo.Push("close program", loaded.Close)
	var attached link.Link
	if s.rung == RawTracepoint {
		attached, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: point, Program: loaded})
	} else {
		attached, err = link.AttachTracing(link.TracingOptions{Program: loaded})
	}
	if err != nil {
		return fmt.Errorf("attach to %s: %w", point, unsupported(err))
	}
	s.undo.Push("detach", attached.Close)
	return nil
}

// load loads a program. As a collection it shares the kernel's BTF with the others, which
// ebpf.NewProgram would read again for each.
func (s *session) load(spec *ebpf.ProgramSpec) (p *ebpf.Program, err error) {
	err = kernel.LockingMemory(func() error {
		c, err := ebpf.NewCollectionWithOptions(
			&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{spec.Name: spec}},
			ebpf.CollectionOptions{Cache: s.types},
		)
		if err == nil {
			p = c.DetachProgram(spec.Name)
		}
		return err
	})
	return p, err
}

// unsupported marks an error of the kernel as a thing that it cannot do, since every rung is
// asked for by trying it. What went wrong stays in it.
func unsupported(err error) error {
	if errors.Is(err, kernel.ErrNotSupported) {
		return err
	}
	if errors.Is(err, unix.EPERM) { // the library suspects the memlock limit, which was raised
		return fmt.Errorf("%w: lockdown forbids it, CAP_BPF or CAP_PERFMON is missing, or before Linux 5.11 ulimit -l cannot be raised: %w", kernel.ErrNotSupported, unix.EPERM)
	}
	return fmt.Errorf("%w: %w", kernel.ErrNotSupported, err)
}

package probes

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"cellwall/probes/code"
)

// waits is the part of a program that knows since when tasks do not get on, and why it is that a
// cgroup in the hierarchy of a controller is concerned.
type waits struct {
	*program
	controller string
	began      *ebpf.Map // pid -> a wait
	wait       int16     // slot of a wait
}

// A wait is since when, on CLOCK_MONOTONIC in ns, and, where that matters, the queue of the task and for how long
// that one had been stopped by then.
const (
	waitFrom    = 0
	waitQueue   = 8
	waitStopped = 16
	waitBytes   = 24
)

// newWaits makes the map that programs share.
func (s *session) newWaits(name string) (*ebpf.Map, error) {
	return s.newMap(name, ebpf.LRUHash, 4, waitBytes, 16384)
}

func beginWaits(p *program, controller string, began *ebpf.Map) *waits {
	p.begin()
	w := &waits{program: p, controller: controller, began: began, wait: p.Slot(waitBytes)}
	w.Do(code.Zero(w.wait+waitQueue), code.Zero(w.wait+waitStopped))
	return w
}

// start notes that the task in R7 waits from now on, unless nobody watches it.
func (w *waits) start(none string) {
	w.cgroup(asm.R8, asm.R7, w.controller)
	w.watch(none)
	w.Now()
	w.store(w.wait+waitFrom, asm.R0)
	w.Field(asm.R0, asm.R7, "task_struct.pid")
	w.Do(asm.StoreMem(asm.RFP, w.key, asm.R0, asm.Word))
	w.Insert(w.began, w.key, w.wait, ebpf.UpdateAny)
}

// end ends the wait of the task in R7: it is counted, and the event is ready to be sent. It jumps
// to none if there was no wait, or where holds, which finds it in its slot, does. It may be nil.
func (w *waits) end(kind Kind, none string, holds func(none string)) {
	w.Field(asm.R0, asm.R7, "task_struct.pid")
	w.Do(asm.StoreMem(asm.RFP, w.key, asm.R0, asm.Word))
	w.Lookup(w.began, w.key)
	w.Do(asm.JEq.Imm(asm.R0, 0, none))
	for part := int16(0); part < waitBytes; part += 8 {
		w.Do(asm.LoadMem(asm.R1, asm.R0, part, asm.DWord))
		w.store(w.wait+part, asm.R1)
	}
	w.Delete(w.began, w.key)
	if holds != nil {
		holds(none)
	}
	w.cgroup(asm.R8, asm.R7, w.controller)
	w.watch(none)
	w.open(kind)
	w.Do(asm.LoadMem(asm.R0, asm.RFP, w.wait+waitFrom, asm.DWord))
	w.set(rawAt, asm.R0, asm.DWord)
	w.since(rawAt)
	w.of(asm.R7)
	w.count()
}

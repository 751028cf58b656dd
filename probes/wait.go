package probes

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// waits is the part of a program that knows since when tasks do not get on, and why it is that a
// cgroup in the hierarchy of a controller is concerned.
type waits struct {
	*program
	controller string
	began      *ebpf.Map // pid -> since when, CLOCK_MONOTONIC in ns
	from       int16     // slot of such a time
}

// newWaits makes the map that programs share.
func (s *session) newWaits(name string) (*ebpf.Map, error) {
	return s.newMap(name, ebpf.LRUHash, 4, 8, 16384)
}

func beginWaits(p *program, controller string, began *ebpf.Map) *waits {
	p.begin()
	return &waits{program: p, controller: controller, began: began, from: p.Slot(8)}
}

// start notes that the task in R7 waits from now on, unless nobody watches it.
func (w *waits) start(none string) {
	w.cgroup(asm.R8, asm.R7, w.controller)
	w.watch(none)
	w.Now()
	w.store(w.from, asm.R0)
	w.Field(asm.R0, asm.R7, "task_struct.pid")
	w.Do(asm.StoreMem(asm.RFP, w.key, asm.R0, asm.Word))
	w.Insert(w.began, w.key, w.from, ebpf.UpdateAny)
}

// end ends the wait of the task in R7: it is counted, and the event is ready to be sent. It jumps
// to none if there was no wait.
func (w *waits) end(kind Kind, none string) {
	w.Field(asm.R0, asm.R7, "task_struct.pid")
	w.Do(asm.StoreMem(asm.RFP, w.key, asm.R0, asm.Word))
	w.Lookup(w.began, w.key)
	w.Do(asm.JEq.Imm(asm.R0, 0, none), asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord))
	w.store(w.from, asm.R0)
	w.Delete(w.began, w.key)
	w.cgroup(asm.R8, asm.R7, w.controller)
	w.watch(none)
	w.open(kind)
	w.Do(asm.LoadMem(asm.R0, asm.RFP, w.from, asm.DWord))
	w.set(rawAt, asm.R0, asm.DWord)
	w.since(rawAt)
	w.of(asm.R7)
	w.count()
}

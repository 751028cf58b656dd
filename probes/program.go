package probes

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"cellwall/probes/code"
)

// ancestors is how far above its own cgroup a task is looked for among the watched ones.
const ancestors = 8

// program is one program while it is written. The context is in R9; the blocks below use the
// registers that they name.
type program struct {
	*code.Builder
	session *session
	point   string // the tracepoint
	event   int16  // slot of a raw
	id      int16  // slot of a cgroup's id
	watched int16  // slot of the watched cgroup's id
	key     int16  // slot for keys
}

// begin sets the slots apart that most programs need.
func (p *program) begin() {
	p.event, p.id, p.watched, p.key = p.Slot(rawBytes), p.Slot(8), p.Slot(8), p.Slot(8)
}

// cgroup loads the struct cgroup of a task in the hierarchy of a controller.
func (p *program) cgroup(dst, task asm.Register, controller string) {
	n, err := p.Layout().Value("cgroup_subsys_id", controller+"_cgrp_id")
	if err != nil {
		p.Fail(err)
		return
	}
	p.Path(dst, task, "task_struct.cgroups", fmt.Sprintf("css_set.subsys[%d]", n), "cgroup_subsys_state.cgroup")
}

// cgroupID loads the id of a struct cgroup.
func (p *program) cgroupID(dst, group asm.Register) { //nolint:unparam // the caller says where
	p.Path(dst, group, "cgroup.kn", "kernfs_node.id")
}

// pointer loads argument i of the tracepoint, which some kernels have in another place or not at all: unless
// it points to that structure here, the program fails.
func (p *program) pointer(dst asm.Register, i int, structure string) {
	if err := p.Layout().Points(p.point, i, structure); err != nil {
		p.Fail(err)
	}
	p.Arg(dst, i)
}

// task loads argument i of the tracepoint, a task.
func (p *program) task(dst asm.Register, i int) { p.pointer(dst, i, "task_struct") }

// current loads the current task.
func (p *program) current(dst asm.Register) { //nolint:unparam // the caller says where
	call := asm.FnGetCurrentTaskBtf.Call()
	if p.session.rung == RawTracepoint {
		call = asm.FnGetCurrentTask.Call()
	}
	p.Do(call, asm.Mov.Reg(dst, asm.R0))
}

// state loads the state of a task: 0 is runnable.
func (p *program) state(dst, task asm.Register) {
	field := "task_struct.__state" // since 5.14
	if !p.Layout().Has(field) {
		field = "task_struct.state"
	}
	p.Field(dst, task, field)
}

// store puts a register into a slot.
func (p *program) store(slot int16, src asm.Register) {
	p.Do(asm.StoreMem(asm.RFP, slot, src, asm.DWord))
}

// watch looks for the cgroup in R8 and those above it among the watched ones. It leaves the id
// of the cgroup and of the watched one in their slots and the address of its total in R8, or
// jumps to miss.
func (p *program) watch(miss string) {
	hit := p.NewLabel("watched")
	p.Do(asm.JEq.Imm(asm.R8, 0, miss))
	p.cgroupID(asm.R0, asm.R8)
	p.store(p.id, asm.R0)
	p.store(p.watched, asm.R0)
	if !p.session.all {
		p.below(hit, miss)
	}
	if p.session.all || p.session.each {
		p.total(hit, miss)
	}
	p.Label(hit)
	p.Do(asm.Mov.Reg(asm.R8, asm.R0))
}

// below looks for the cgroup in R8, whose id is in the slot watched, and those above it. It jumps
// to hit with the address of the total in R0, or to miss. Where each cgroup counts for itself and a
// higher one is watched, it goes on, with the lower one in the slot.
func (p *program) below(hit, miss string) {
	above := p.NewLabel("above")
	for level := range ancestors {
		if level > 0 {
			p.Field(asm.R8, asm.R8, "cgroup.self.parent")
			p.Do(asm.JEq.Imm(asm.R8, 0, miss))
			p.Field(asm.R8, asm.R8, "cgroup_subsys_state.cgroup")
			p.cgroupID(asm.R0, asm.R8)
			p.store(p.watched, asm.R0)
		}
		p.Lookup(p.session.totals, p.watched)
		if level > 0 && p.session.each {
			p.Do(asm.JNE.Imm(asm.R0, 0, above))
		} else {
			p.Do(asm.JNE.Imm(asm.R0, 0, hit))
		}
	}
	p.Do(asm.Ja.Label(miss))
	if p.session.each {
		p.Label(above)
		p.Do(asm.LoadMem(asm.R0, asm.RFP, p.id, asm.DWord))
		p.store(p.watched, asm.R0)
	}
}

// total leaves in R0 the address of the total of the cgroup in the slot watched, which it begins
// if there is none.
func (p *program) total(hit, miss string) {
	p.Lookup(p.session.totals, p.watched)
	p.Do(asm.JNE.Imm(asm.R0, 0, hit), code.Zero(p.key))
	p.Lookup(p.session.zero, p.key)
	p.Do(asm.JEq.Imm(asm.R0, 0, miss), asm.Mov.Reg(asm.R3, asm.R0), asm.LoadMapPtr(asm.R1, p.session.totals.FD()))
	p.Address(asm.R2, p.watched)
	p.Do(asm.Mov.Imm(asm.R4, int32(ebpf.UpdateNoExist)), asm.FnMapUpdateElem.Call())
	p.Lookup(p.session.totals, p.watched)
	p.Do(asm.JNE.Imm(asm.R0, 0, hit))
	p.lose(lostStates)
	p.Do(asm.Ja.Label(miss))
}

// since makes the event as long as it is now since the time in one of its fields.
func (p *program) since(field int16) { //nolint:unparam // the caller says where
	p.Now()
	p.Do(asm.LoadMem(asm.R1, asm.RFP, p.event+field, asm.DWord), asm.Sub.Reg(asm.R0, asm.R1))
	p.set(rawLength, asm.R0, asm.DWord)
}

// count adds the event to the total whose address is in R8.
func (p *program) count() {
	p.Do(
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R8, asm.R1, asm.DWord, 0),
		asm.LoadMem(asm.R1, asm.RFP, p.event+rawLength, asm.DWord), asm.AddAtomic.Mem(asm.R8, asm.R1, asm.DWord, 8),
		asm.LoadMem(asm.R1, asm.RFP, p.event+rawLength, asm.DWord), asm.Div.Imm(asm.R1, 1000),
		asm.Mov.Imm(asm.R2, 0),
	)
	// R2 becomes the number of bits of R1, by halves; the last bucket takes what is longer.
	small := p.NewLabel("bits")
	p.Do(asm.JLT.Imm(asm.R1, 1<<30, small), asm.Mov.Imm(asm.R1, 1<<30))
	p.Label(small)
	for _, bits := range []int32{16, 8, 4, 2, 1} {
		less := p.NewLabel("bits")
		p.Do(asm.JLT.Imm(asm.R1, 1<<bits, less), asm.RSh.Imm(asm.R1, bits), asm.Add.Imm(asm.R2, bits))
		p.Label(less)
	}
	p.Do(
		asm.Add.Reg(asm.R2, asm.R1), asm.And.Imm(asm.R2, Buckets-1), asm.LSh.Imm(asm.R2, 3),
		asm.Add.Reg(asm.R8, asm.R2), asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R8, asm.R1, asm.DWord, 16),
	)
}

// open clears the event and fills in what every event has: kind, CPU, and the cgroups that watch
// has found.
func (p *program) open(kind Kind) {
	for at := 0; at < rawBytes; at += 8 {
		p.Do(code.Zero(p.event + int16(at)))
	}
	p.Do(
		asm.StoreImm(asm.RFP, p.event+rawKind, int64(kindNumber(kind)), asm.Word),
		asm.FnGetSmpProcessorId.Call(), asm.StoreMem(asm.RFP, p.event+rawCPU, asm.R0, asm.Word),
	)
	p.Do(asm.LoadMem(asm.R0, asm.RFP, p.id, asm.DWord), asm.LoadMem(asm.R1, asm.RFP, p.watched, asm.DWord))
	p.set(rawCgroup, asm.R0, asm.DWord)
	p.set(rawWatched, asm.R1, asm.DWord)
}

// set fills in a field of the event.
func (p *program) set(field int16, src asm.Register, size asm.Size) {
	p.Do(asm.StoreMem(asm.RFP, p.event+field, src, size))
}

// of fills in pid and name of a task.
func (p *program) of(task asm.Register) { //nolint:unparam // the caller says where
	p.Field(asm.R0, task, "task_struct.pid")
	p.set(rawPid, asm.R0, asm.Word)
	p.Text(p.event+rawComm, task, "task_struct.comm", commBytes)
}

// send writes the event into the ring buffer, or counts it as lost.
func (p *program) send() {
	if p.session.silent {
		return
	}
	sent := p.NewLabel("sent")
	p.Do(asm.LoadMapPtr(asm.R1, p.session.events.FD()))
	p.Address(asm.R2, p.event)
	p.Do(asm.Mov.Imm(asm.R3, rawBytes), asm.Mov.Imm(asm.R4, 0), asm.FnRingbufOutput.Call(), asm.JEq.Imm(asm.R0, 0, sent))
	p.lose(lostEvents)
	p.Label(sent)
}

// lose counts a loss.
func (p *program) lose(which int64) {
	none := p.NewLabel("counted")
	p.Do(asm.StoreImm(asm.RFP, p.key, which, asm.Word))
	p.Lookup(p.session.lost, p.key)
	p.Do(asm.JEq.Imm(asm.R0, 0, none), asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0))
	p.Label(none)
}

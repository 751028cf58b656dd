package probes

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"cellwall/probes/code"
)

// openStart follows the descendants of a process: the tasks that they make, the system calls of
// startCalls with their length, exec and exit.
func openStart(s *session, root int) error {
	family, err := s.newMap("family", ebpf.Hash, 4, 4, 16384) // process -> 1 if its own calls are told
	if err != nil {
		return err
	}
	if err := family.Put(uint32(root), uint32(0)); err != nil { // a pid
		return fmt.Errorf("follow process %d: %w", root, err)
	}
	inside, err := s.newMap("calls", ebpf.LRUHash, 4, 16, 4096) // task -> call, since when
	if err != nil {
		return err
	}
	for _, t := range []struct {
		point string
		write func(*member)
	}{
		{"task_newtask", (*member).born},
		{"sys_enter", (*member).enters},
		{"sys_exit", (*member).leaves},
		{"sched_process_exec", func(m *member) { m.moment("execve") }},
		{"sched_process_exit", (*member).dies},
	} {
		err := s.attach(t.point, func(p *program) {
			p.begin()
			m := &member{program: p, family: family, inside: inside, value: p.Slot(16), done: p.NewLabel("done")}
			t.write(m)
			p.Label(m.done)
			p.Exit()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// member is the part of a program that knows the family.
type member struct {
	*program
	family, inside *ebpf.Map
	value          int16  // slot of a value of either map
	done           string // label at the end
}

// own jumps to done if the current process is not of the family, or its calls are not told. It
// leaves the task in R7 and its pid in the slot key.
func (m *member) own() {
	m.process()
	m.Lookup(m.family, m.key)
	m.Do(asm.JEq.Imm(asm.R0, 0, m.done), asm.LoadMem(asm.R0, asm.R0, 0, asm.Word), asm.JEq.Imm(asm.R0, 0, m.done))
	m.Do(asm.FnGetCurrentPidTgid.Call(), asm.StoreMem(asm.RFP, m.key, asm.R0, asm.Word))
	m.current(asm.R7)
}

// process puts the pid of the current process into the slot key.
func (m *member) process() {
	m.Do(asm.FnGetCurrentPidTgid.Call(), asm.RSh.Imm(asm.R0, 32), asm.StoreMem(asm.RFP, m.key, asm.R0, asm.Word))
}

// start clears the event. A family is not bound to a cgroup.
func (m *member) start() {
	m.Do(code.Zero(m.id), code.Zero(m.watched))
	m.open(Phase)
}

// born takes the child process of a member into the family.
func (m *member) born() {
	m.process()
	m.Lookup(m.family, m.key)
	m.Do(asm.JEq.Imm(asm.R0, 0, m.done))
	m.task(asm.R7, 0)
	m.Field(asm.R6, asm.R7, "task_struct.tgid")
	m.Field(asm.R0, asm.R7, "task_struct.pid")
	m.Do(
		asm.JNE.Reg(asm.R0, asm.R6, m.done), // a thread
		asm.StoreMem(asm.RFP, m.key, asm.R0, asm.Word), asm.StoreImm(asm.RFP, m.value, 1, asm.Word),
	)
	m.Insert(m.family, m.key, m.value, ebpf.UpdateAny)
	m.Do(asm.JEq.Imm(asm.R0, 0, m.done))
	m.lose(lostStates)
}

// enters notes when a member begins a call of interest.
func (m *member) enters() {
	m.Arg(asm.R6, 1)
	m.among(asm.R6)
	m.own()
	m.store(m.value, asm.R6)
	m.Now()
	m.store(m.value+8, asm.R0)
	m.Insert(m.inside, m.key, m.value, ebpf.UpdateAny)
}

// among jumps to done if the call in a register is not one that is told.
func (m *member) among(call asm.Register) {
	told := m.NewLabel("told")
	for _, n := range startCalls() {
		m.Do(asm.JEq.Imm(call, int32(n), told)) // numbers of system calls
	}
	m.Do(asm.Ja.Label(m.done))
	m.Label(told)
}

// leaves tells the call that a member has ended, and how.
func (m *member) leaves() {
	m.pointer(asm.R7, 0, "pt_regs")
	m.Field(asm.R6, asm.R7, callNumberField)
	m.among(asm.R6) // cheaper than to ask who it is, for all system calls of the host
	m.Arg(asm.R6, 1)
	m.own()
	m.Lookup(m.inside, m.key)
	m.Do(
		asm.JEq.Imm(asm.R0, 0, m.done),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.LoadMem(asm.R8, asm.R0, 8, asm.DWord),
	)
	m.store(m.value, asm.R1)
	m.Delete(m.inside, m.key)
	m.start()
	m.set(rawAt, asm.R8, asm.DWord)
	m.since(rawAt)
	m.Do(asm.LoadMem(asm.R0, asm.RFP, m.value, asm.DWord))
	m.set(rawCall, asm.R0, asm.Word)
	fine := m.NewLabel("fine")
	m.Do(asm.JSGE.Imm(asm.R6, 0, fine), asm.Mov.Imm(asm.R0, 0), asm.Sub.Reg(asm.R0, asm.R6))
	m.set(rawErrno, asm.R0, asm.Word)
	m.Label(fine)
	m.of(asm.R7)
	m.send()
}

// moment tells something that has no length. A call of that name that was begun does not return.
func (m *member) moment(call string) {
	m.own()
	m.Delete(m.inside, m.key)
	m.start()
	m.Now()
	m.set(rawAt, asm.R0, asm.DWord)
	m.Do(asm.StoreImm(asm.RFP, m.event+rawCall, int64(calls[call]), asm.Word)) // numbers of system calls
	m.of(asm.R7)
	m.send()
}

// dies tells the end of a member's task, and forgets the member with its last one.
func (m *member) dies() {
	m.moment("exit")
	m.Path(asm.R0, asm.R7, "task_struct.signal", "signal_struct.live.counter")
	m.Do(asm.JNE.Imm(asm.R0, 0, m.done))
	m.process()
	m.Delete(m.family, m.key)
}

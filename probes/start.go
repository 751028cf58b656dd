package probes

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"cellwall/probes/code"
)

// openStart follows the descendants of a process: the tasks that they make, the system calls of
// startCalls with their length, exec and exit.
func openStart(s *session, root int) error {
	f, err := newFamily(s, root)
	if err != nil {
		return err
	}
	if err := s.attach("sys_enter", f.writes((*member).enters)); err != nil {
		return err
	}
	return s.attach("sys_exit", f.writes((*member).leaves))
}

// openStartFunctions does so at the functions of those calls: no other call of the host gets slower.
func openStartFunctions(s *session, root int) error {
	f, err := newFamily(s, root)
	if err != nil {
		return err
	}
	functions := callFunctions()
	for _, call := range slices.Sorted(maps.Keys(functions)) {
		function, enters := functions[call], func(m *member) { m.begins(call) }
		if err := s.attachAs(ebpf.AttachTraceFEntry, function, f.writes(enters)); err != nil {
			return err
		}
		if err := s.attachAs(ebpf.AttachTraceFExit, function, f.writes((*member).ends)); err != nil {
			return err
		}
	}
	if len(oldForks()) == 0 {
		return nil
	}
	if err := s.attachAs(ebpf.AttachTraceFEntry, "kernel_clone", f.writes((*member).forks)); err != nil {
		return err
	}
	return s.attachAs(ebpf.AttachTraceFExit, "kernel_clone", f.writes((*member).forked))
}

// family is the processes that are followed, and the calls that they are in.
type family struct{ members, inside *ebpf.Map }

// newFamily begins with the children of root.
func newFamily(s *session, root int) (f *family, err error) {
	f = &family{}
	if f.members, err = s.newMap("family", ebpf.Hash, 4, 4, 16384); err != nil { // process -> 1 if its own calls are told
		return nil, err
	}
	if err := f.members.Put(uint32(root), uint32(0)); err != nil { // a pid
		return nil, fmt.Errorf("follow process %d: %w", root, err)
	}
	if f.inside, err = s.newMap("calls", ebpf.LRUHash, 4, 16, 4096); err != nil { // task -> call, since when
		return nil, err
	}
	for _, t := range []struct {
		point string
		write func(*member)
	}{
		{"task_newtask", (*member).born},
		{"sched_process_exec", func(m *member) { m.moment("execve") }},
		{"sched_process_exit", (*member).dies},
	} {
		if err := s.attach(t.point, f.writes(t.write)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// writes makes a program of what one member does.
func (f *family) writes(write func(*member)) func(*program) {
	return func(p *program) {
		p.begin()
		m := &member{program: p, family: f, value: p.Slot(16), done: p.NewLabel("done")}
		write(m)
		p.Label(m.done)
		p.Exit()
	}
}

// member is the part of a program that knows the family.
type member struct {
	*program
	*family
	value int16  // slot of a value of either map
	done  string // label at the end
}

// own jumps to done if the current process is not of the family, or its calls are not told. It
// leaves the task in R7 and its pid in the slot key.
func (m *member) own() {
	m.process()
	m.Lookup(m.members, m.key)
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
	m.Lookup(m.members, m.key)
	m.Do(asm.JEq.Imm(asm.R0, 0, m.done))
	m.task(asm.R7, 0)
	m.Field(asm.R6, asm.R7, "task_struct.tgid")
	m.Field(asm.R0, asm.R7, "task_struct.pid")
	m.Do(
		asm.JNE.Reg(asm.R0, asm.R6, m.done), // a thread
		asm.StoreMem(asm.RFP, m.key, asm.R0, asm.Word), asm.StoreImm(asm.RFP, m.value, 1, asm.Word),
	)
	m.Insert(m.members, m.key, m.value, ebpf.UpdateAny)
	m.Do(asm.JEq.Imm(asm.R0, 0, m.done))
	m.lose(lostStates)
}

// enters notes when a member begins a call of interest.
func (m *member) enters() {
	m.Arg(asm.R6, 1)
	m.among(asm.R6)
	m.own()
	m.note()
}

// begins does so at the function of the call.
func (m *member) begins(call string) {
	m.own()
	m.Do(asm.Mov.Imm(asm.R6, int32(callNumber(call)))) // numbers of system calls
	m.note()
}

// forks does so at what fork and vfork call: BTF does not have their own functions. clone and clone3 call it too,
// after they have begun.
func (m *member) forks() {
	m.own()
	m.Lookup(m.inside, m.key)
	m.Do(asm.JNE.Imm(asm.R0, 0, m.done))
	m.Arg(asm.R6, 0)
	m.Field(asm.R0, asm.R6, "kernel_clone_args.flags")
	vfork := m.NewLabel("vfork")
	m.Do(
		asm.Mov.Imm(asm.R6, int32(oldCalls["vfork"])), // numbers of system calls
		asm.JSet.Imm(asm.R0, unix.CLONE_VFORK, vfork),
		asm.Mov.Imm(asm.R6, int32(oldCalls["fork"])),
	)
	m.Label(vfork)
	m.note()
}

// note keeps that a member is in the call whose number is in R6.
func (m *member) note() {
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
	m.ends()
}

// ends does so where what the call returns is argument 1: after its registers, at its function too.
func (m *member) ends() {
	m.Arg(asm.R6, 1)
	m.own()
	m.tell()
}

// forked does so for fork and vfork, whose function returns 32 bits.
func (m *member) forked() {
	m.Arg(asm.R6, 1)
	m.Do(asm.LSh.Imm(asm.R6, 32), asm.ArSh.Imm(asm.R6, 32))
	m.own()
	m.Lookup(m.inside, m.key)
	old := m.NewLabel("old")
	m.Do(asm.JEq.Imm(asm.R0, 0, m.done), asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord))
	for _, n := range oldForks() {
		m.Do(asm.JEq.Imm(asm.R0, int32(n), old)) // numbers of system calls
	}
	m.Do(asm.Ja.Label(m.done))
	m.Label(old)
	m.tell()
}

// tell sends the call that a member is in, which has returned what is in R6.
func (m *member) tell() {
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
	m.Delete(m.members, m.key)
}

package probes

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"cellwall/probes/code"
)

// depth is how many levels of cgroups above a task the throttle probe looks at.
const depth = 6

// An episode lasts as long as the kernel's own clock of throttled time runs for the tasks of one
// cgroup on one CPU (struct cfs_rq). The kernel starts it when the first of them has to stop:
// up to Linux 6.17 when the queue leaves the CPU, from 6.18 on when the first task returns to
// user space. In both cases a context switch follows at once, or a task is woken into a queue
// that is throttled already. It stops it when the queue gets runtime again, from the timer of the
// period, a call that this makes on another CPU, or a change of the limit: then its tasks are added
// to those of the CPU, which may take long to run one of them.
const (
	episodeAt      = 0  // CLOCK_MONOTONIC, ns
	episodeCgroup  = 8  // id
	episodeWatched = 16 // id
	episodePid     = 24 // of the first task that was stopped
	episodeCPU     = 28 // of the queue
	episodeComm    = 32
	episodeAbove   = 48 // address of the queue above its own, or zero
	episodeBytes   = 56
)

// openPerCPU is how many open episodes a CPU keeps at hand. The end of one beyond them is seen late:
// when a task of its cgroup gets the CPU.
const openPerCPU = 16

func openThrottle(s *session) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	open, err := s.newMap("episodes", ebpf.Hash, 8, episodeBytes, 4096) // address of a cfs_rq -> its episode
	if err != nil {
		return err
	}
	here, err := s.newMap("queues", ebpf.Array, 4, 8*openPerCPU, uint32(cpus))
	if err != nil {
		return err
	}
	for _, t := range []struct {
		point string
		write func(*episodes)
		since string // where not every kernel has the tracepoint, the first that does
	}{
		{"sched_switch", func(e *episodes) {
			e.task(asm.R7, 2)
			e.ended()
			e.task(asm.R7, 1)
			e.began()
		}, ""},
		{"sched_wakeup", (*episodes).woken, ""},
		{"sched_wakeup_new", (*episodes).woken, ""},
		{"sched_update_nr_running_tp", (*episodes).added, ""},
		{"hrtimer_expire_exit", (*episodes).refilled, ""},
		{"csd_function_exit", (*episodes).refilled, "6.4"},
	} {
		if t.since != "" && s.layout.Tracepoint(t.point) != nil {
			continue
		}
		err := s.attach(t.point, func(p *program) {
			p.begin()
			t.write(&episodes{program: p, open: open, here: here, queue: p.Slot(8), above: p.Slot(8), table: p.Slot(8), value: p.Slot(episodeBytes)})
			p.Exit()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// episodes is the part of a program that keeps them. An episode begins under the lock of its CPU's run
// queue, so no two programs begin the same one. It may end in two at a time: refilled runs without that
// lock, while another CPU that holds it adds a task there.
type episodes struct {
	*program
	open  *ebpf.Map // address of a cfs_rq -> its episode
	here  *ebpf.Map // CPU -> those addresses
	queue int16     // slot of that address
	above int16     // slot of the sched_entity above it
	table int16     // slot of the address of a CPU's queues
	value int16     // slot of an episode
}

func (e *episodes) woken() {
	e.task(asm.R7, 0)
	e.began()
}

// added looks at the CPU to which tasks have been added.
func (e *episodes) added() {
	done := e.NewLabel("done")
	e.Arg(asm.R6, 1)
	e.Do(asm.LSh.Imm(asm.R6, 32), asm.ArSh.Imm(asm.R6, 32), asm.JSLE.Imm(asm.R6, 0, done))
	e.pointer(asm.R7, 0, "rq")
	e.Field(asm.R6, asm.R7, "rq.cpu")
	e.look(done)
	e.Label(done)
}

// refilled looks at the CPU on which a timer or a call from another CPU has run: it may have given
// runtime to queues, also to those whose tasks have moved on meanwhile.
func (e *episodes) refilled() {
	done := e.NewLabel("done")
	e.Do(asm.FnGetSmpProcessorId.Call(), asm.Mov.Reg(asm.R6, asm.R0))
	e.look(done)
	e.Label(done)
}

// look closes the episodes of the CPU in R6 whose queues have runtime again.
func (e *episodes) look(done string) {
	e.queues(done)
	e.store(e.table, asm.R6)
	for i := range int16(openPerCPU) {
		next := e.NewLabel("next")
		e.Do(asm.LoadMem(asm.R6, asm.RFP, e.table, asm.DWord), asm.LoadMem(asm.R7, asm.R6, 8*i, asm.DWord), asm.JEq.Imm(asm.R7, 0, next))
		e.FieldAt(asm.R0, asm.R7, "cfs_rq.throttled")
		e.Do(asm.JNE.Imm(asm.R0, 0, next))
		e.store(e.queue, asm.R7)
		e.close(next)
		e.beganAbove(next)
		e.Label(next)
	}
}

// queues leaves in R6 the address of the queues at hand of the CPU in R6.
func (e *episodes) queues(none string) {
	e.Do(asm.StoreMem(asm.RFP, e.key, asm.R6, asm.Word))
	e.Lookup(e.here, e.key)
	e.Do(asm.JEq.Imm(asm.R0, 0, none), asm.Mov.Reg(asm.R6, asm.R0))
}

// replace puts the address in R2 where the one in R1 is among the queues at R6.
func (e *episodes) replace() {
	done := e.NewLabel("replaced")
	for i := range int16(openPerCPU) {
		next := e.NewLabel("next")
		e.Do(
			asm.LoadMem(asm.R0, asm.R6, 8*i, asm.DWord), asm.JNE.Reg(asm.R0, asm.R1, next),
			asm.StoreMem(asm.R6, 8*i, asm.R2, asm.DWord), asm.Ja.Label(done),
		)
		e.Label(next)
	}
	e.Label(done)
}

// each runs do for the queues above the task in R7, from its own one up, with the queue in R8.
// do jumps to next to go on.
func (e *episodes) each(done string, do func(next string)) {
	for level := range depth {
		next := e.NewLabel("level")
		if level == 0 {
			e.Field(asm.R8, asm.R7, "task_struct.se.cfs_rq")
			e.Field(asm.R6, asm.R7, "task_struct.se.parent")
		} else {
			e.Field(asm.R8, asm.R6, "sched_entity.cfs_rq")
			e.Field(asm.R6, asm.R6, "sched_entity.parent")
		}
		do(next)
		e.Label(next)
		e.Do(asm.JEq.Imm(asm.R6, 0, done))
	}
}

// began begins an episode of each throttled queue above the task in R7 that has none.
func (e *episodes) began() {
	done := e.NewLabel("begun")
	e.each(done, func(next string) {
		e.runs(next)
		e.store(e.above, asm.R6)
		e.Field(asm.R0, asm.R6, "sched_entity.cfs_rq")
		e.store(e.value+episodeAbove, asm.R0)
		e.Path(asm.R6, asm.R8, "cfs_rq.rq", "rq.cpu")
		e.Do(asm.StoreMem(asm.RFP, e.value+episodeCPU, asm.R6, asm.Word))
		begun := e.NewLabel("begun")
		e.begin(begun, func() {
			e.Field(asm.R0, asm.R7, "task_struct.pid")
			e.Do(asm.StoreMem(asm.RFP, e.value+episodePid, asm.R0, asm.Word))
			e.Text(e.value+episodeComm, asm.R7, "task_struct.comm", commBytes)
		})
		e.Label(begun)
		e.Do(asm.LoadMem(asm.R6, asm.RFP, e.above, asm.DWord))
	})
	e.Label(done)
}

// runs jumps to none unless the clock of throttled time runs for the queue in R8 and it has no episode. It
// leaves its address in its slot.
func (e *episodes) runs(none string) {
	e.Do(asm.JEq.Imm(asm.R8, 0, none))
	for _, field := range []string{"cfs_rq.throttled", "cfs_rq.throttled_clock"} {
		e.Field(asm.R0, asm.R8, field)
		e.Do(asm.JEq.Imm(asm.R0, 0, none))
	}
	e.store(e.queue, asm.R8)
	e.Lookup(e.open, e.queue)
	e.Do(asm.JNE.Imm(asm.R0, 0, none))
}

// beganAbove begins the episode of the queue above that of the one that was closed last. From Linux 6.4 to 6.17 the
// clock of a throttled queue waits for a task, and a queue below that has runtime again adds its own without a word.
func (e *episodes) beganAbove(none string) {
	e.Unknown(func() {
		e.Do(asm.LoadMem(asm.R8, asm.RFP, e.value+episodeAbove, asm.DWord))
		e.runs(none)
		e.Do(code.Zero(e.value + episodeAbove)) // nobody says what is above that one
		e.begin(none, func() {})                // of the same task, on the same CPU
	})
}

// begin begins the episode of the queue in R8, whose address is in its slot and whose CPU is in the value, unless
// nobody watches it; task adds whose it is. It jumps to none, or ends there.
func (e *episodes) begin(none string, task func()) {
	e.Path(asm.R8, asm.R8, "cfs_rq.tg", "task_group.css.cgroup")
	e.watch(none)
	e.Now()
	e.store(e.value+episodeAt, asm.R0)
	e.Do(asm.LoadMem(asm.R0, asm.RFP, e.id, asm.DWord), asm.LoadMem(asm.R1, asm.RFP, e.watched, asm.DWord))
	e.store(e.value+episodeCgroup, asm.R0)
	e.store(e.value+episodeWatched, asm.R1)
	task()
	kept := e.NewLabel("kept")
	e.Insert(e.open, e.queue, e.value, ebpf.UpdateNoExist)
	e.Do(asm.JEq.Imm(asm.R0, 0, kept))
	e.lose(lostStates)
	e.Do(asm.Ja.Label(none))
	e.Label(kept)
	e.Do(asm.LoadMem(asm.R6, asm.RFP, e.value+episodeCPU, asm.Word))
	e.queues(none)
	e.Do(asm.Mov.Imm(asm.R1, 0), asm.LoadMem(asm.R2, asm.RFP, e.queue, asm.DWord))
	e.replace()
}

// ended closes the episode of a queue above the task in R7 if it is not throttled any more.
func (e *episodes) ended() {
	done := e.NewLabel("not ended")
	e.each(done, func(next string) {
		e.Do(asm.JEq.Imm(asm.R8, 0, next))
		e.Field(asm.R0, asm.R8, "cfs_rq.throttled")
		e.Do(asm.JNE.Imm(asm.R0, 0, next))
		e.store(e.queue, asm.R8)
		e.Lookup(e.open, e.queue)
		e.Do(asm.JEq.Imm(asm.R0, 0, next))
		e.close(done)
		e.Do(asm.Ja.Label(done)) // if a queue above has an end too, its tasks have been added
	})
	e.Label(done)
}

// close closes the episode of the queue whose address is in its slot, or jumps to none if it has
// none. Whoever deletes it counts it.
func (e *episodes) close(none string) {
	e.Lookup(e.open, e.queue)
	e.Do(asm.JEq.Imm(asm.R0, 0, none))
	for i := int16(0); i < episodeBytes; i += 8 { // before the entry can be used again
		e.Do(asm.LoadMem(asm.R1, asm.R0, i, asm.DWord), asm.StoreMem(asm.RFP, e.value+i, asm.R1, asm.DWord))
	}
	e.Delete(e.open, e.queue)
	e.Do(asm.JNE.Imm(asm.R0, 0, none), asm.LoadMem(asm.R6, asm.RFP, e.value+episodeCPU, asm.Word))
	e.queues(none)
	e.Do(asm.LoadMem(asm.R1, asm.RFP, e.queue, asm.DWord), asm.Mov.Imm(asm.R2, 0))
	e.replace()
	e.finish(none)
}

// finish counts and sends the episode in the slot value.
func (e *episodes) finish(none string) {
	e.Do(asm.LoadMem(asm.R0, asm.RFP, e.value+episodeCgroup, asm.DWord), asm.LoadMem(asm.R1, asm.RFP, e.value+episodeWatched, asm.DWord))
	e.store(e.id, asm.R0)
	e.store(e.watched, asm.R1)
	e.program.open(Throttled)
	for _, copied := range []struct {
		to, from int16
		size     asm.Size
	}{
		{rawAt, episodeAt, asm.DWord},
		{rawPid, episodePid, asm.Word},
		{rawCPU, episodeCPU, asm.Word},
		{rawComm, episodeComm, asm.DWord},
		{rawComm + 8, episodeComm + 8, asm.DWord},
	} {
		e.Do(asm.LoadMem(asm.R0, asm.RFP, e.value+copied.from, copied.size))
		e.set(copied.to, asm.R0, copied.size)
	}
	e.since(rawAt)
	e.Lookup(e.session.totals, e.watched)
	e.Do(asm.JEq.Imm(asm.R0, 0, none), asm.Mov.Reg(asm.R8, asm.R0))
	e.count()
	e.send()
}

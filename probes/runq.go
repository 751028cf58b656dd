package probes

import (
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// openRunq follows each task from the moment it can run to the moment it does. A task that waits
// for runtime, not for a CPU, is left to the throttle probe.
func openRunq(s *session, slow time.Duration) error {
	waiting, err := s.newMap("waiting", ebpf.LRUHash, 4, 8, 16384) // pid -> since when
	if err != nil {
		return err
	}
	for _, point := range []string{"sched_wakeup", "sched_wakeup_new"} {
		err := s.attach(point, func(p *program) {
			q := beginQueue(p, waiting)
			done := p.NewLabel("done")
			p.Arg(asm.R7, 0)
			q.queued(done)
			p.Label(done)
			p.Exit()
		})
		if err != nil {
			return err
		}
	}
	return s.attach("sched_switch", func(p *program) {
		q := beginQueue(p, waiting)
		off, done := p.NewLabel("off"), p.NewLabel("done")
		p.Arg(asm.R7, 2)
		p.Arg(asm.R6, 1)
		q.running(slow, off)
		p.Label(off)
		p.Arg(asm.R7, 1)
		runnable := p.NewLabel("runnable")
		p.Arg(asm.R0, 0)
		p.Do(asm.JNE.Imm(asm.R0, 0, runnable)) // it was preempted, maybe on its way to sleep
		p.state(asm.R0, asm.R7)
		p.Do(asm.JNE.Imm(asm.R0, 0, done)) // it sleeps
		p.Label(runnable)
		q.queued(done)
		p.Label(done)
		p.Exit()
	})
}

// queue is the part of a program that knows the waiting tasks.
type queue struct {
	*program
	waiting *ebpf.Map
	from    int16 // slot of a time
}

func beginQueue(p *program, waiting *ebpf.Map) *queue {
	p.begin()
	return &queue{program: p, waiting: waiting, from: p.Slot(8)}
}

// queued notes that the task in R7 can run from now on, unless it is throttled, idle or unwatched.
func (q *queue) queued(none string) {
	q.Field(asm.R0, asm.R7, "task_struct.pid")
	q.Do(asm.JEq.Imm(asm.R0, 0, none))
	if q.Layout().Has(throttleCount) {
		q.Path(asm.R0, asm.R7, "task_struct.se.cfs_rq", throttleCount)
		q.Do(asm.JNE.Imm(asm.R0, 0, none))
	}
	q.cgroup(asm.R8, asm.R7, "cpu")
	q.watch(none)
	q.Now()
	q.store(q.from, asm.R0)
	q.Field(asm.R0, asm.R7, "task_struct.pid")
	q.Do(asm.StoreMem(asm.RFP, q.key, asm.R0, asm.Word))
	q.Insert(q.waiting, q.key, q.from, ebpf.UpdateAny)
}

// throttleCount says how many of a queue's ancestors and itself have no runtime left. A kernel
// without bandwidth limits lacks it.
const throttleCount = "cfs_rq.throttle_count"

// running ends the wait of the task in R7, which gets the CPU that the task in R6 had.
func (q *queue) running(slow time.Duration, none string) {
	q.Field(asm.R0, asm.R7, "task_struct.pid")
	q.Do(asm.StoreMem(asm.RFP, q.key, asm.R0, asm.Word))
	q.Lookup(q.waiting, q.key)
	q.Do(asm.JEq.Imm(asm.R0, 0, none), asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord))
	q.store(q.from, asm.R0)
	q.Delete(q.waiting, q.key)
	q.cgroup(asm.R8, asm.R7, "cpu")
	q.watch(none)
	q.open(Waited)
	q.Do(asm.LoadMem(asm.R0, asm.RFP, q.from, asm.DWord))
	q.set(rawAt, asm.R0, asm.DWord)
	q.since(rawAt)
	q.count()
	q.Do(asm.LoadMem(asm.R0, asm.RFP, q.event+rawLength, asm.DWord), asm.LoadImm(asm.R1, int64(slow), asm.DWord), asm.JLT.Reg(asm.R0, asm.R1, none))
	q.task(asm.R7)
	q.Field(asm.R0, asm.R6, "task_struct.pid")
	q.set(rawByPid, asm.R0, asm.Word)
	q.cgroup(asm.R8, asm.R6, "cpu")
	q.cgroupID(asm.R0, asm.R8)
	q.set(rawBy, asm.R0, asm.DWord)
	q.send()
}

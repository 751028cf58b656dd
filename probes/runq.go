package probes

import (
	"time"

	"github.com/cilium/ebpf/asm"
)

// throttleCount says how many of a queue's ancestors and itself have no runtime left. A kernel
// without bandwidth limits lacks it.
const throttleCount = "cfs_rq.throttle_count"

// stoppedTimes are where a queue's time without runtime has been, its own and that of its ancestors, the newest
// first. The clock does not matter.
var stoppedTimes = []string{
	"cfs_rq.throttled_clock_pelt_time", // since 5.19
	"cfs_rq.throttled_clock_task_time",
}

// openRunq follows each task from the moment it can run to the moment it does. A task that waits
// for runtime, not for a CPU, is left to the throttle probe.
func openRunq(s *session, slow time.Duration) error {
	began, err := s.newWaits("waiting")
	if err != nil {
		return err
	}
	for _, point := range []string{"sched_wakeup", "sched_wakeup_new"} {
		err := s.attach(point, func(p *program) {
			w := beginWaits(p, "cpu", began)
			done := p.NewLabel("done")
			p.task(asm.R7, 0)
			w.queued(done)
			p.Label(done)
			p.Exit()
		})
		if err != nil {
			return err
		}
	}
	return s.attach("sched_switch", func(p *program) {
		w := beginWaits(p, "cpu", began)
		off, done := p.NewLabel("off"), p.NewLabel("done")
		p.task(asm.R7, 2)
		p.task(asm.R6, 1)
		w.running(slow, off)
		p.Label(off)
		p.task(asm.R7, 1)
		runnable := p.NewLabel("runnable")
		p.Arg(asm.R0, 0)
		p.Do(asm.JNE.Imm(asm.R0, 0, runnable)) // it was preempted, maybe on its way to sleep
		p.state(asm.R0, asm.R7)
		p.Do(asm.JNE.Imm(asm.R0, 0, done)) // it sleeps
		p.Label(runnable)
		w.queued(done)
		p.Label(done)
		p.Exit()
	})
}

// queued notes that the task in R7 can run from now on, unless it is throttled or idle. One that was
// woken while it still had the CPU has a note already, which does not outlive its being throttled.
func (w *waits) queued(none string) {
	w.Field(asm.R0, asm.R7, "task_struct.pid")
	w.Do(asm.JEq.Imm(asm.R0, 0, none), asm.StoreMem(asm.RFP, w.key, asm.R0, asm.Word))
	if w.Layout().Has(throttleCount) {
		runs := w.NewLabel("not throttled")
		w.Path(asm.R0, asm.R7, "task_struct.se.cfs_rq", throttleCount)
		w.Do(asm.JEq.Imm(asm.R0, 0, runs))
		w.Delete(w.began, w.key)
		w.Do(asm.Ja.Label(none))
		w.Label(runs)
	}
	w.stopped(func(time string) {
		w.Field(asm.R0, asm.R7, "task_struct.se.cfs_rq")
		w.store(w.wait+waitQueue, asm.R0)
		w.Field(asm.R0, asm.R0, time)
		w.store(w.wait+waitStopped, asm.R0)
	})
	w.start(none)
}

// stopped calls write with the field of a queue's time without runtime, if this kernel has one.
func (w *waits) stopped(write func(time string)) {
	for _, time := range stoppedTimes {
		if w.Layout().Has(time) {
			write(time)
			return
		}
	}
}

// notStopped jumps to none where the queue in which the task in R7 waited has been stopped meanwhile. Before Linux
// 6.18 it stays there then, also one that another task of the group has brought to an end of the runtime.
func (w *waits) notStopped(none string) {
	w.stopped(func(time string) {
		moved := w.NewLabel("moved") // the times of two queues tell nothing
		w.Field(asm.R0, asm.R7, "task_struct.se.cfs_rq")
		w.Do(asm.LoadMem(asm.R1, asm.RFP, w.wait+waitQueue, asm.DWord), asm.JNE.Reg(asm.R0, asm.R1, moved))
		w.Field(asm.R0, asm.R0, time)
		w.Do(asm.LoadMem(asm.R1, asm.RFP, w.wait+waitStopped, asm.DWord), asm.JNE.Reg(asm.R0, asm.R1, none))
		w.Label(moved)
	})
}

// running ends the wait of the task in R7, which gets the CPU that the task in R6 had.
func (w *waits) running(slow time.Duration, none string) {
	w.end(Waited, none, w.notStopped)
	w.Do(asm.LoadMem(asm.R0, asm.RFP, w.event+rawLength, asm.DWord), asm.LoadImm(asm.R1, int64(slow), asm.DWord), asm.JLT.Reg(asm.R0, asm.R1, none))
	w.Field(asm.R0, asm.R6, "task_struct.pid")
	w.set(rawByPid, asm.R0, asm.Word)
	w.cgroup(asm.R8, asm.R6, w.controller)
	w.cgroupID(asm.R0, asm.R8)
	w.set(rawBy, asm.R0, asm.DWord)
	w.send()
}

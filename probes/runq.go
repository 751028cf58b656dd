package probes

import (
	"time"

	"github.com/cilium/ebpf/asm"
)

// throttleCount says how many of a queue's ancestors and itself have no runtime left. A kernel
// without bandwidth limits lacks it.
const throttleCount = "cfs_rq.throttle_count"

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
	w.start(none)
}

// running ends the wait of the task in R7, which gets the CPU that the task in R6 had.
func (w *waits) running(slow time.Duration, none string) {
	w.end(Waited, none)
	w.Do(asm.LoadMem(asm.R0, asm.RFP, w.event+rawLength, asm.DWord), asm.LoadImm(asm.R1, int64(slow), asm.DWord), asm.JLT.Reg(asm.R0, asm.R1, none))
	w.Field(asm.R0, asm.R6, "task_struct.pid")
	w.set(rawByPid, asm.R0, asm.Word)
	w.cgroup(asm.R8, asm.R6, w.controller)
	w.cgroupID(asm.R0, asm.R8)
	w.set(rawBy, asm.R0, asm.DWord)
	w.send()
}

package probes

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// killable is TASK_KILLABLE, the state in which a task sleeps that memory.high holds up.
const killable = 0x102

// openReclaim pairs the begin and end of what a task does to get memory: it frees some itself,
// for its cgroup's limit or for the host, or memory.high makes it sleep.
func openReclaim(s *session) error {
	began, err := s.newMap("reclaims", ebpf.LRUHash, 4, 8, 16384) // pid -> since when
	if err != nil {
		return err
	}
	for _, kind := range []string{"memcg", "direct"} {
		err := s.attach("mm_vmscan_"+kind+"_reclaim_begin", func(p *program) {
			q := beginQueue(p, began)
			done := p.NewLabel("done")
			p.current(asm.R7)
			q.stalled(done)
			p.Label(done)
			p.Exit()
		})
		if err != nil {
			return err
		}
		err = s.attach("mm_vmscan_"+kind+"_reclaim_end", func(p *program) {
			q := beginQueue(p, began)
			done := p.NewLabel("done")
			p.Arg(asm.R6, 0)
			p.current(asm.R7)
			q.resumed(Reclaimed, done)
			p.Label(done)
			p.Exit()
		})
		if err != nil {
			return err
		}
	}
	if !s.layout.Has("task_struct.in_memstall") {
		return nil // without PSI the kernel does not mark who sleeps for memory
	}
	sleeping, err := s.newMap("stalls", ebpf.LRUHash, 4, 8, 16384)
	if err != nil {
		return err
	}
	return s.attach("sched_switch", func(p *program) {
		q := beginQueue(p, sleeping)
		off, done := p.NewLabel("off"), p.NewLabel("done")
		p.Arg(asm.R7, 2)
		p.Field(asm.R0, asm.R7, "task_struct.in_memstall")
		p.Do(asm.JEq.Imm(asm.R0, 0, off), asm.Mov.Imm(asm.R6, 0))
		q.resumed(HighStall, off)
		p.Label(off)
		p.Arg(asm.R7, 1)
		p.Field(asm.R0, asm.R7, "task_struct.in_memstall")
		p.Do(asm.JEq.Imm(asm.R0, 0, done))
		p.state(asm.R0, asm.R7)
		p.Do(asm.JNE.Imm(asm.R0, killable, done))
		q.stalled(done)
		p.Label(done)
		p.Exit()
	})
}

// stalled notes that the task in R7 does not get on from now on.
func (q *queue) stalled(none string) {
	q.cgroup(asm.R8, asm.R7, "memory")
	q.watch(none)
	q.Now()
	q.store(q.from, asm.R0)
	q.Field(asm.R0, asm.R7, "task_struct.pid")
	q.Do(asm.StoreMem(asm.RFP, q.key, asm.R0, asm.Word))
	q.Insert(q.waiting, q.key, q.from, ebpf.UpdateAny)
}

// resumed ends it, with R6 pages freed.
func (q *queue) resumed(kind Kind, none string) {
	q.Field(asm.R0, asm.R7, "task_struct.pid")
	q.Do(asm.StoreMem(asm.RFP, q.key, asm.R0, asm.Word))
	q.Lookup(q.waiting, q.key)
	q.Do(asm.JEq.Imm(asm.R0, 0, none), asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord))
	q.store(q.from, asm.R0)
	q.Delete(q.waiting, q.key)
	q.cgroup(asm.R8, asm.R7, "memory")
	q.watch(none)
	q.open(kind)
	q.set(rawPages, asm.R6, asm.DWord)
	q.Do(asm.LoadMem(asm.R0, asm.RFP, q.from, asm.DWord))
	q.set(rawAt, asm.R0, asm.DWord)
	q.program.since(rawAt)
	q.task(asm.R7)
	q.count()
	q.send()
}

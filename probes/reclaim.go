package probes

import "github.com/cilium/ebpf/asm"

// killable is TASK_KILLABLE, the state in which a task sleeps that memory.high holds up.
const killable = 0x102

// openReclaim pairs the begin and end of what a task does to get memory: it frees some itself,
// for its cgroup's limit or for the host, or memory.high makes it sleep.
func openReclaim(s *session) error {
	began, err := s.newWaits("reclaims")
	if err != nil {
		return err
	}
	for _, kind := range []string{"memcg", "direct"} {
		err := s.attach("mm_vmscan_"+kind+"_reclaim_begin", func(p *program) {
			w := beginWaits(p, "memory", began)
			done := p.NewLabel("done")
			p.current(asm.R7)
			w.start(done)
			p.Label(done)
			p.Exit()
		})
		if err != nil {
			return err
		}
		err = s.attach("mm_vmscan_"+kind+"_reclaim_end", func(p *program) {
			w := beginWaits(p, "memory", began)
			done := p.NewLabel("done")
			p.Arg(asm.R6, 0) // pages freed
			p.current(asm.R7)
			w.end(Reclaimed, done, nil)
			p.set(rawPages, asm.R6, asm.DWord)
			p.send()
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
	stalled, err := s.newWaits("stalls")
	if err != nil {
		return err
	}
	return s.attach("sched_switch", func(p *program) {
		w := beginWaits(p, "memory", stalled)
		off, done := p.NewLabel("off"), p.NewLabel("done")
		p.task(asm.R7, 2)
		p.Field(asm.R0, asm.R7, "task_struct.in_memstall")
		p.Do(asm.JEq.Imm(asm.R0, 0, off))
		w.end(HighStall, off, nil)
		p.send()
		p.Label(off)
		p.task(asm.R7, 1)
		p.Field(asm.R0, asm.R7, "task_struct.in_memstall")
		p.Do(asm.JEq.Imm(asm.R0, 0, done))
		p.state(asm.R0, asm.R7)
		p.Do(asm.JNE.Imm(asm.R0, killable, done))
		w.start(done)
		p.Label(done)
		p.Exit()
	})
}

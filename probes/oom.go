package probes

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// A victim is what the OOM killer has chosen, by pid of its process.
const (
	victimAt      = 0 // CLOCK_MONOTONIC, ns
	victimCgroup  = 8
	victimWatched = 16
	victimStarted = 24 // start_time, ns: pids are used again, and the two together are not
	victimBytes   = 32
)

// anonPages is MM_ANONPAGES, the index of a process's anonymous memory in its counters.
const anonPages = "1"

// rssFields are where the counter has been, the newest first, and how it is loaded.
var rssFields = []struct {
	path string
	load func(*program, asm.Register, asm.Register, string)
}{
	{"mm_struct.rss_stat[" + anonPages + "].count", (*program).Field}, // since 6.2
	// The verifier knows no element of an array of atomic_long_t.
	{"mm_struct.rss_stat.count[" + anonPages + "].counter", (*program).FieldAt},
}

func openOOM(s *session) error {
	victims, err := s.newMap("victims", ebpf.Hash, 4, victimBytes, 4096)
	if err != nil {
		return err
	}
	// Of two threads that end at the same time both can find that none is left: the first one counts.
	ended, err := s.newMap("ended", ebpf.LRUHash, 8, 8, 4096) // when the victim was chosen
	if err != nil {
		return err
	}
	if err := s.attach("mark_victim", func(p *program) { writeMark(p, victims) }); err != nil {
		return err
	}
	for _, end := range []struct {
		point string
		kind  Kind
		final bool // nothing comes after it
		pid   func(*program, string)
	}{
		{"sched_process_exit", OOMExit, false, lastThread},
		{"finish_task_reaping", OOMReaped, false, func(p *program, _ string) { p.Arg(asm.R6, 0) }},
		{"sched_process_free", OOMReleased, true, func(p *program, _ string) {
			p.task(asm.R7, 0)
			p.Field(asm.R6, asm.R7, "task_struct.pid")
		}},
	} {
		err := s.attach(end.point, func(p *program) {
			p.begin()
			done := p.NewLabel("done")
			end.pid(p, done)
			findVictim(p, victims, done)
			if end.kind == OOMExit {
				at := p.Slot(8)
				p.store(at, asm.R7)
				p.Insert(ended, at, at, ebpf.UpdateNoExist)
				p.Do(asm.JNE.Imm(asm.R0, 0, done))
			}
			sendAfter(p, victims, end.kind, end.final)
			p.Label(done)
			p.Exit()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lastThread leaves in R6 the process of the task that exits, if it is its last thread. The
// kernel has counted the thread out already.
func lastThread(p *program, done string) {
	p.task(asm.R7, 0)
	p.Path(asm.R0, asm.R7, "task_struct.signal", "signal_struct.live.counter")
	p.Do(asm.JNE.Imm(asm.R0, 0, done))
	p.Field(asm.R6, asm.R7, "task_struct.tgid")
}

// writeMark writes what happens when the task of argument 0 has been chosen. The current task is
// the one whose allocation found no memory. The kernel marks threads: of a victim that needs memory to
// end with, another one may be marked, which is no kill.
func writeMark(p *program, victims *ebpf.Map) {
	p.begin()
	value, done := p.Slot(victimBytes), p.NewLabel("done")
	p.task(asm.R7, 0)
	p.cgroup(asm.R8, asm.R7, "memory")
	p.watch(done)
	p.Field(asm.R0, asm.R7, "task_struct.tgid")
	p.Do(asm.StoreMem(asm.RFP, p.key, asm.R0, asm.Word))
	p.Path(asm.R6, asm.R7, "task_struct.group_leader", "task_struct.start_time")
	first := p.NewLabel("first")
	p.Lookup(victims, p.key)
	p.Do(
		asm.JEq.Imm(asm.R0, 0, first), asm.LoadMem(asm.R1, asm.R0, victimStarted, asm.DWord),
		asm.JEq.Reg(asm.R1, asm.R6, done),
	)
	p.Label(first)
	p.store(value+victimStarted, asm.R6)
	p.open(OOMKill)
	p.Now()
	p.set(rawAt, asm.R0, asm.DWord)
	p.store(value+victimAt, asm.R0)
	p.Do(asm.LoadMem(asm.R0, asm.RFP, p.id, asm.DWord), asm.LoadMem(asm.R1, asm.RFP, p.watched, asm.DWord))
	p.store(value+victimCgroup, asm.R0)
	p.store(value+victimWatched, asm.R1)
	p.of(asm.R7)
	p.Do(asm.LoadMem(asm.R0, asm.RFP, p.key, asm.Word)) // the process, not the thread
	p.set(rawPid, asm.R0, asm.Word)
	kept := p.NewLabel("kept")
	p.Insert(victims, p.key, value, ebpf.UpdateAny)
	p.Do(asm.JEq.Imm(asm.R0, 0, kept))
	p.lose(lostStates)
	p.Label(kept)
	for _, rss := range rssFields {
		if p.Layout().Has(rss.path) {
			p.Field(asm.R0, asm.R7, "task_struct.mm")
			rss.load(p, asm.R0, asm.R0, rss.path)
			p.set(rawPages, asm.R0, asm.DWord)
			break
		}
	}
	p.Do(asm.FnGetCurrentPidTgid.Call(), asm.RSh.Imm(asm.R0, 32))
	p.set(rawByPid, asm.R0, asm.Word)
	p.current(asm.R7)
	p.cgroup(asm.R6, asm.R7, "memory")
	p.cgroupID(asm.R0, asm.R6)
	p.set(rawBy, asm.R0, asm.DWord)
	p.count()
	p.send()
	p.Label(done)
	p.Exit()
}

// findVictim leaves in R7 when the process whose pid is in R6 was chosen, and its cgroups in their
// slots, or jumps to done if it was not.
func findVictim(p *program, victims *ebpf.Map, done string) {
	p.Do(asm.StoreMem(asm.RFP, p.key, asm.R6, asm.Word))
	p.Lookup(victims, p.key)
	p.Do(
		asm.JEq.Imm(asm.R0, 0, done), asm.LoadMem(asm.R7, asm.R0, victimAt, asm.DWord),
		asm.LoadMem(asm.R1, asm.R0, victimCgroup, asm.DWord), asm.LoadMem(asm.R2, asm.R0, victimWatched, asm.DWord),
	)
	p.store(p.id, asm.R1)
	p.store(p.watched, asm.R2)
}

// sendAfter sends an event on the victim that findVictim has found.
func sendAfter(p *program, victims *ebpf.Map, kind Kind, final bool) {
	p.open(kind)
	p.set(rawAt, asm.R7, asm.DWord)
	p.since(rawAt)
	p.Now()
	p.set(rawAt, asm.R0, asm.DWord)
	p.set(rawPid, asm.R6, asm.Word)
	if final {
		p.Do(asm.StoreMem(asm.RFP, p.key, asm.R6, asm.Word))
		p.Delete(victims, p.key)
	}
	p.send()
}

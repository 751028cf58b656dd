package probes

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// depth is how many levels of cgroups above a task the throttle probe looks at.
const depth = 6

// An episode lasts as long as the kernel's own clock of throttled time runs for the tasks of one
// cgroup on one CPU (struct cfs_rq). The kernel starts it when the first of them has to stop:
// up to Linux 6.17 when the queue leaves the CPU, from 6.18 on when the first task returns to
// user space. In both cases a context switch follows at once, or a task is woken into a queue
// that is throttled already. It stops it when the queue gets runtime again; then the group's
// entity is queued, which updates its load (pelt_se_tp), and soon a task of it gets the CPU.
const (
	episodeAt      = 0  // CLOCK_MONOTONIC, ns
	episodeCgroup  = 8  // id
	episodeWatched = 16 // id
	episodePid     = 24 // of the first task that was stopped
	episodeCPU     = 28 // of the queue
	episodeComm    = 32
	episodeBytes   = 48
)

func openThrottle(s *session) error {
	episodes, err := s.newMap("episodes", ebpf.Hash, 8, episodeBytes, 4096)
	if err != nil {
		return err
	}
	for _, t := range []struct {
		point      string
		begin, end int // argument that is a task whose episode may have begun or ended, -1 if none is
	}{
		{"sched_switch", 1, 2},
		{"sched_wakeup", 0, -1},
		{"sched_wakeup_new", 0, -1},
	} {
		err := s.attach(t.point, func(p *program) {
			e := beginEpisodes(p, episodes)
			if t.end >= 0 {
				p.Arg(asm.R7, t.end)
				e.ended()
			}
			p.Arg(asm.R7, t.begin)
			e.began()
			p.Exit()
		})
		if err != nil {
			return err
		}
	}
	return s.attach("pelt_se_tp", func(p *program) {
		e := beginEpisodes(p, episodes)
		done := p.NewLabel("done")
		p.Arg(asm.R7, 0)
		p.Field(asm.R8, asm.R7, "sched_entity.my_q")
		p.Do(asm.JEq.Imm(asm.R8, 0, done))
		e.close(done)
		p.Label(done)
		p.Exit()
	})
}

// episodes is the part of a program that keeps them.
type episodes struct {
	*program
	open  *ebpf.Map // address of a cfs_rq -> its episode
	queue int16     // slot of that address
	value int16     // slot of an episode
}

func beginEpisodes(p *program, open *ebpf.Map) *episodes {
	p.begin()
	return &episodes{program: p, open: open, queue: p.Slot(8), value: p.Slot(episodeBytes)}
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

// began begins an episode if the task in R7 is below a throttled queue that has none.
func (e *episodes) began() {
	done, found := e.NewLabel("not begun"), e.NewLabel("found")
	e.each(done, func(next string) {
		e.Do(asm.JEq.Imm(asm.R8, 0, next))
		for _, field := range []string{"cfs_rq.throttled", "cfs_rq.throttled_clock"} {
			e.Field(asm.R0, asm.R8, field)
			e.Do(asm.JEq.Imm(asm.R0, 0, next))
		}
		e.Do(asm.Ja.Label(found))
	})
	e.Do(asm.Ja.Label(done))
	e.Label(found)
	e.store(e.queue, asm.R8)
	e.Path(asm.R6, asm.R8, "cfs_rq.rq", "rq.cpu")
	e.Path(asm.R8, asm.R8, "cfs_rq.tg", "task_group.css.cgroup")
	e.watch(done)
	e.Lookup(e.open, e.queue)
	e.Do(asm.JNE.Imm(asm.R0, 0, done))
	e.Now()
	e.store(e.value+episodeAt, asm.R0)
	e.Do(asm.LoadMem(asm.R0, asm.RFP, e.id, asm.DWord), asm.LoadMem(asm.R1, asm.RFP, e.watched, asm.DWord))
	e.store(e.value+episodeCgroup, asm.R0)
	e.store(e.value+episodeWatched, asm.R1)
	e.Field(asm.R0, asm.R7, "task_struct.pid")
	e.Do(asm.StoreMem(asm.RFP, e.value+episodePid, asm.R0, asm.Word), asm.StoreMem(asm.RFP, e.value+episodeCPU, asm.R6, asm.Word))
	e.Text(e.value+episodeComm, asm.R7, "task_struct.comm", commBytes)
	e.Insert(e.open, e.queue, e.value, ebpf.UpdateNoExist)
	e.Do(asm.JEq.Imm(asm.R0, 0, done))
	e.lose(lostStates)
	e.Label(done)
}

// ended closes the episode of a queue above the task in R7 if it is not throttled any more.
func (e *episodes) ended() {
	done := e.NewLabel("not ended")
	e.each(done, func(next string) {
		e.Do(asm.JEq.Imm(asm.R8, 0, next))
		e.close(next)
	})
	e.Label(done)
}

// close closes the episode of the queue in R8, or jumps to none if it has none or is throttled.
func (e *episodes) close(none string) {
	e.store(e.queue, asm.R8)
	e.Lookup(e.open, e.queue)
	e.Do(asm.JEq.Imm(asm.R0, 0, none))
	e.Do(asm.Mov.Reg(asm.R1, asm.R0))
	for i := int16(0); i < episodeBytes; i += 8 { // before the entry can be used again
		e.Do(asm.LoadMem(asm.R2, asm.R1, i, asm.DWord), asm.StoreMem(asm.RFP, e.value+i, asm.R2, asm.DWord))
	}
	e.Field(asm.R0, asm.R8, "cfs_rq.throttled")
	e.Do(asm.JNE.Imm(asm.R0, 0, none))
	e.Delete(e.open, e.queue)
	e.Do(asm.JNE.Imm(asm.R0, 0, none)) // another CPU was faster
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

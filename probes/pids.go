package probes

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// openPidsFunction looks at the answers of the pids controller itself: no limit of another kind is
// taken for its own, and no system call gets slower.
func openPidsFunction(s *session) error {
	return s.attachAs(ebpf.AttachTraceFExit, "pids_can_fork", func(p *program) {
		p.begin()
		done := p.NewLabel("done")
		p.Arg(asm.R6, 2) // what it returns, after its two arguments
		p.Do(asm.LSh.Imm(asm.R6, 32), asm.ArSh.Imm(asm.R6, 32), asm.JNE.Imm(asm.R6, -int32(unix.EAGAIN), done))
		p.current(asm.R7)
		p.cgroup(asm.R8, asm.R7, "pids")
		p.watch(done)
		p.open(ForkRefused)
		p.Now()
		p.set(rawAt, asm.R0, asm.DWord)
		p.of(asm.R7)
		p.Do(asm.StoreImm(asm.RFP, p.event+rawErrno, int64(unix.EAGAIN), asm.Word))
		p.count()
		p.send()
		p.Label(done)
		p.Exit()
	})
}

// openPids looks at every system call that ends with EAGAIN and makes tasks.
func openPids(s *session) error {
	return s.attach("sys_exit", func(p *program) {
		p.begin()
		done := p.NewLabel("done")
		p.Arg(asm.R6, 1)
		p.Do(asm.JNE.Imm(asm.R6, -int32(unix.EAGAIN), done))
		p.pointer(asm.R7, 0, "pt_regs")
		p.Field(asm.R6, asm.R7, callNumberField)
		forks := p.NewLabel("forks")
		for _, n := range forkCalls() {
			p.Do(asm.JEq.Imm(asm.R6, int32(n), forks)) // numbers of system calls
		}
		p.Do(asm.Ja.Label(done))
		p.Label(forks)
		p.current(asm.R7)
		p.cgroup(asm.R8, asm.R7, "pids")
		p.watch(done)
		p.open(ForkRefused)
		p.Now()
		p.set(rawAt, asm.R0, asm.DWord)
		p.of(asm.R7)
		p.set(rawCall, asm.R6, asm.Word)
		p.Do(asm.StoreImm(asm.RFP, p.event+rawErrno, int64(unix.EAGAIN), asm.Word))
		p.count()
		p.send()
		p.Label(done)
		p.Exit()
	})
}

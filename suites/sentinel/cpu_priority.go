package sentinel

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// PriorityKept reads the attacker's place in the queues for CPU and disks, which is to be no better than
// our own: of that it has what is inherited, and we may have been started with a raised one.
func PriorityKept(*Stage) (*Watch, error) {
	own, err := placeOf(0)
	if err != nil {
		return nil, err
	}
	w := &Watch{}
	var raised []string
	niced, disk, real := false, false, false
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		p, err := placeOf(a.PID)
		if err != nil {
			return err
		}
		switch {
		case p.realTime() && !own.realTime():
			real = true
			raised = append(raised, fmt.Sprintf("policy %d", p.policy))
		case !p.realTime() && p.nice < min(own.nice, 0): // 0 is everybody's
			niced = true
			raised = append(raised, fmt.Sprintf("nice %d", p.nice))
		}
		if p.realTimeDisk() && !own.realTimeDisk() {
			disk = true
			raised = append(raised, "real-time I/O")
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{Breached: real, Evidence: "policy, nice value and I/O priority are as they were"}
		if len(raised) > 0 {
			f.Evidence = "the attacker has " + strings.Join(slices.Compact(raised), ", ")
		}
		// A cgroup of v1 may have no time for real-time policies, whatever the capability.
		return f.of(part{"nice value", niced}, part{"I/O priority", disk}),
			MustTry(r, "setpriority", "ioprio_set", "sched_setscheduler", "sched_setattr")
	}
	return w, nil
}

// queuePlace is a task's place in the queues for CPU and disks.
type queuePlace struct {
	policy uint32 // sched(7)
	nice   int    // 0, if the policy is a real-time one
	ioprio uintptr
}

// placeOf reads that of a task; 0 is the calling thread.
func placeOf(pid int) (p queuePlace, err error) {
	attr, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		return p, fmt.Errorf("read the scheduling policy of %d: %w", pid, err)
	}
	p.policy = attr.Policy
	const ioprioProcess = 1 // IOPRIO_WHO_PROCESS of linux/ioprio.h
	ioprio, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioProcess, uintptr(pid), 0)
	if errno != 0 {
		return p, fmt.Errorf("read the I/O priority of %d: %w", pid, errno)
	}
	p.ioprio = ioprio
	if p.realTime() {
		return p, nil
	}
	n, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		return p, fmt.Errorf("read the nice value of %d: %w", pid, err)
	}
	p.nice = 20 - n // getpriority(2), as the system call gives it
	return p, nil
}

func (p queuePlace) realTime() bool {
	return p.policy == unix.SCHED_FIFO || p.policy == unix.SCHED_RR || p.policy == unix.SCHED_DEADLINE
}

func (p queuePlace) realTimeDisk() bool {
	const shift, class = 13, 1 // IOPRIO_CLASS_SHIFT and IOPRIO_CLASS_RT
	return p.ioprio>>shift == class
}

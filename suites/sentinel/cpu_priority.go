package sentinel

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// PriorityKept reads the attacker's place in the queues for CPU and disks, which is to be no better than before
// the attack. That one may be raised: it is inherited of whoever starts the runtime.
func PriorityKept(*Stage) (*Watch, error) {
	w := &Watch{}
	var had queuePlace
	var raised []string
	niced, disk, real := false, false, false
	w.Ready = func(_ context.Context, a *Subject) (err error) {
		had, err = placeOf(a.PID)
		return err
	}
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		p, err := placeOf(a.PID)
		if err != nil {
			return err
		}
		switch {
		case p.realTime() && !had.realTime():
			real = true
			raised = append(raised, fmt.Sprintf("policy %d", p.policy))
		case !p.realTime() && !had.realTime() && p.nice < min(had.nice, 0): // 0 is what everybody may have
			niced = true
			raised = append(raised, fmt.Sprintf("nice %d", p.nice))
		}
		if p.realTimeDisk() && !had.realTimeDisk() {
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
		// A cgroup of v1 may have no time for real-time policies, whatever the capability. What is as high as it
		// goes cannot be raised.
		var parts []part
		if !had.realTime() && had.nice > -20 {
			parts = append(parts, part{"nice value", niced})
		}
		if !had.realTimeDisk() {
			parts = append(parts, part{"I/O priority", disk})
		}
		return f.of(parts...), MustTry(r, "setpriority", "ioprio_set", "sched_setscheduler", "sched_setattr")
	}
	return w, nil
}

// queuePlace is a task's place in the queues for CPU and disks.
type queuePlace struct {
	policy uint32 // sched(7)
	nice   int    // 0, if the policy is a real-time one
	ioprio uintptr
}

// placeOf reads that of a task.
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

package probes

import "time"

// Kind says what an event is about.
type Kind string

// Kinds of events.
const (
	Throttled   Kind = "throttled"    // the tasks of a cgroup on one CPU had no runtime left
	OOMKill     Kind = "oom-kill"     // the OOM killer has chosen a task
	OOMExit     Kind = "oom-exit"     // the last thread of that task's process ends; Length is the time since the choice
	OOMReaped   Kind = "oom-reaped"   // its memory has been freed by the OOM reaper; Length as above
	OOMReleased Kind = "oom-released" // its parent has waited for it and the kernel has let go of it; Length as above
	ForkRefused Kind = "fork-refused" // a process or thread was not made
	Waited      Kind = "waited"       // a runnable task waited for a CPU
	Reclaimed   Kind = "reclaimed"    // a task had to free memory itself before it got some
	HighStall   Kind = "high-stall"   // a task was made to sleep since its cgroup is above memory.high
	Phase       Kind = "phase"        // a step of a container's start
)

// Event is one thing that a probe saw. Fields that have no meaning for its kind are zero.
type Event struct {
	Kind Kind `json:"event"`
	// At is when it began, and Length how long it took.
	At     time.Time     `json:"at"`
	Length time.Duration `json:"length_ns,omitempty"`
	// Cgroup is the id of the cgroup in question, in the hierarchy of the probe's controller: the
	// inode number of its directory. Watched is that of the cgroup whose total counts it.
	Cgroup  uint64 `json:"cgroup,omitempty"`
	Watched uint64 `json:"watched,omitempty"`
	// By is the cgroup on the other side: of the task that hit the limit in an OOM kill, of the
	// task that had the CPU in a wait.
	By uint64 `json:"by,omitempty"`
	// Pid and Comm are the task's, as the initial pid namespace knows it; ByPid is the one on the
	// other side.
	Pid   int    `json:"pid,omitempty"`
	ByPid int    `json:"by_pid,omitempty"`
	Comm  string `json:"comm,omitempty"`
	CPU   int    `json:"cpu"`
	// Pages: of the victim's anonymous memory in an OOM kill, freed ones in a reclaim.
	Pages uint64 `json:"pages,omitempty"`
	// Call is the system call of a phase or of a refused fork, and Errno how it failed.
	Call  string `json:"call,omitempty"`
	Errno string `json:"errno,omitempty"`
	// Count is how many of its kind this stands for, where single ones could not be seen.
	Count uint64 `json:"count,omitempty"`
}

// Total sums up what a probe saw of one cgroup. Every event is counted in it, also those that got
// lost on the way to the reader and those below Options.Slow.
type Total struct {
	Cgroup uint64        `json:"cgroup"`
	Count  uint64        `json:"count"`
	Length time.Duration `json:"length_ns"`
	// Buckets[i] counts lengths from 2^(i-1) us up to below 2^i us; the first those below 1 us.
	Buckets [Buckets]uint64 `json:"buckets"`
}

// Buckets is the number of a total's buckets. The last one holds all above half an hour.
const Buckets = 32

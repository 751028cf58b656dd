// Package cgroup creates, limits, reads and removes control groups over cgroup v2, v1 and hybrid.
//
// It does not know what a container is. It changes only groups that it made itself, with one
// exception that the kernel forces on it: to make a controller available below the caller's own
// v2 group it enables it there and, where processes stand in the way, moves them to a leaf;
// Tree.Close undoes both. Do not use it to place processes: a launcher does that with Join.
package cgroup

// Mode is how the host mounts its control groups.
type Mode string

// The three modes. A host whose only v1 hierarchies have no controller (name=systemd) is V2.
const (
	V1     Mode = "v1"
	V2     Mode = "v2"
	Hybrid Mode = "hybrid"
)

// Prefix starts the name of every group that cellwall makes; Remove refuses a path without it.
const Prefix = "cellwall-"

// Join is what a launcher needs to put a child into a group. The descriptors are close-on-exec,
// belong to the group and are valid until its Close.
type Join struct {
	// Into is the v2 directory for CLONE_INTO_CGROUP, -1 where there is no v2 hierarchy.
	Into int
	// Tasks are the v1 "tasks" files, open for writing. The child, while it has one thread,
	// writes "0" to each: 0.15 ms, where writing its pid to cgroup.procs waits for RCU (14 ms).
	Tasks []int
}

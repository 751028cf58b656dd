// Package probes watches from the kernel what the files of a cgroup only sum up: BPF programs at
// tracepoints, which need nobody's word inside or outside of a container.
//
// A probe looks at the cgroups that it is told, and those below them; the programs filter by the
// id of the cgroup before they do anything else. They hand events over in a ring buffer and count
// totals beside it, so that an event that got lost is missing as an event but not in the totals.
// What is lost is counted too (Lost). Fields of kernel structures are found by BTF, never by a
// version. Nothing is pinned: a probe ends with Close or with its process.
//
// # What each one sees and misses
//
// throttle follows the kernel's own clock of throttled time, one for each cgroup and CPU
// (sched_switch, sched_wakeup; sched_update_nr_running_tp, hrtimer_expire_exit, csd_function_exit). It
// misses a task that is moved to a throttled CPU until somebody there is scheduled, cgroups more
// than six levels above a task, and the real-time classes. Up to Linux 6.17 a whole queue leaves the CPU; from 6.18 on each task runs on
// until it returns to user space, so that what an episode says is when the first one stopped.
//
// oom sees the choice of a victim, its last thread's exit, the reaper's work and the moment when
// the kernel lets go of it (mark_victim, sched_process_exit, finish_task_reaping,
// sched_process_free). Whose limit it was is not in those: By is the cgroup of the task whose
// allocation failed, and the limit is one of the cgroups above both. Before Linux 6.9 mark_victim has
// a number where it has the task now, and nothing else tells whose cgroup it is: there only the
// files are left. The kernel frees a task an RCU
// grace period after its parent has waited for it, so oom-released comes late.
//
// pids sees every clone and fork that ends with EAGAIN (sys_exit). On that rung RLIMIT_NPROC and
// threads-max look the same, and every system call of the host takes a little longer. On the rung
// fentry it sees the pids controller's own answer (pids_can_fork).
//
// runq sees the time from a wakeup, or from losing the CPU while runnable, until a task has a CPU
// again (sched_wakeup, sched_switch). The one it waited for is the one that had the CPU last, which
// need not have had it all the time. Time without runtime left is not counted: that is throttle's,
// nor is a wait in which there was such time.
//
// reclaim sees direct reclaim for a cgroup's limit and for the host's, and the sleep that
// memory.high imposes (mm_vmscan_*, sched_switch; the sleep needs PSI). kswapd's work is nobody's.
//
// start follows the descendants of a process through the system calls that make a container
// (task_newtask, sched_process_exec, sched_process_exit, and on the rung fentry the functions of those calls,
// below it sys_enter and sys_exit, which make every call of the host a little slower). What a runtime does
// by other calls shows as the gap between two steps. On the rung fentry calls of 32-bit programs are not seen; below it
// their numbers are taken for those of 64-bit ones.
//
// # Rungs
//
// A probe attaches by the first way that the kernel really grants; Attempts has what the others
// said. Typed tracepoints (tp_btf) need BTF and bpf_get_current_task_btf (Linux 5.11), raw ones
// (raw_tp) BTF and bpf_probe_read_kernel, which lockdown for confidentiality refuses. Both need the
// ring buffer (5.8) and root, or CAP_BPF and CAP_PERFMON. Before Linux 5.11 their maps count as locked
// memory, of which most shells grant less than a probe takes: the limit is raised while they are made, which takes
// CAP_SYS_RESOURCE or a hard limit (ulimit -H -l) that grants it. Where no program can be loaded the cgroup's files are polled; that says how much and how often, but neither who nor when. A tracepoint
// whose arguments are others than a program expects, by BTF, is refused by name on any rung.
//
// # What it costs
//
// BenchmarkSwitch and BenchmarkMemory measure it; docs/probes.md has the numbers.
package probes

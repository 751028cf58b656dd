package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func pidsRows() []Guarantee {
	return []Guarantee{{
		ID:          "pids.fork-bomb",
		Claim:       "cannot fork beyond its own or an ancestor's pids limit",
		Source:      "Documentation/admin-guide/cgroup-v2.rst, PID",
		Barrier:     "pids.max",
		Rung:        spec.Limits,
		Controllers: []string{"pids"},
		Attack:      attack.ForkBomb,
		Witness:     sentinel.PidsBounded,
		Refusal:     Refusals{unix.EAGAIN: Cgroup, unix.EACCES: DAC},
		Controls:    spec.Edits{withoutPidsLimit},
	}, {
		ID:          "pids.threads-count",
		Claim:       "cannot evade its pids limit with threads or zombies",
		Source:      "Documentation/admin-guide/cgroup-v2.rst, PID; Linux commit 51bee5abeab2",
		Barrier:     "pids.max",
		Rung:        spec.Limits,
		Controllers: []string{"pids"},
		Probes:      []string{"pids"},
		Attack:      attack.CountThreads,
		Witness:     sentinel.TasksCounted,
		Refusal:     Refusals{unix.EAGAIN: Cgroup},
		Controls:    spec.Edits{withoutPidsLimit},
	}, {
		ID:      "pids.kill-fork-bomb",
		Claim:   "can be killed completely while it forks",
		Source:  "Documentation/admin-guide/cgroup-v2.rst, cgroup.kill (5.14)",
		Barrier: "cgroup.kill of a group that holds the whole container",
		Rung:    spec.Limits,
		Attack:  attack.Comets,
		Witness: sentinel.BombKilled,
		// The end of a pid namespace kills all that are in it, whatever the list says.
		Both: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
		// A kill that somebody escapes, and a cgroup that does not hold all.
		Controls: spec.Edits{{Name: sentinel.KillByList}, {Name: sentinel.ChildrenElsewhere}},
		Alone:    true, // what its containers take is the fence's too
	}, {
		ID:      "pids.nproc-per-userns",
		Claim:   "cannot use up another container's RLIMIT_NPROC",
		Source:  "getrlimit(2); Linux commit 21d1c5e386bc (5.14)",
		Barrier: "user namespace",
		Rung:    spec.Hardened,
		Attack:  attack.FillUser,
		Witness: sentinel.UserNotFull,
		Refusal: Refusals{unix.EAGAIN: Rlimit},
		Controls: spec.Edits{
			spec.WithoutNamespace(specs.UserNamespace),
		},
	}}
}

var withoutPidsLimit = spec.Change("no pids limit", func(s *specs.Spec) {
	if s.Linux.Resources != nil {
		s.Linux.Resources.Pids = nil
	}
})

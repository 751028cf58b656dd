package mutants_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/reports/record"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// lie is a runtime that says that it did what it did not, or leaves something behind, and what
// must be said of it.
type lie struct {
	name string
	do   wrapper
	row  string
	want record.Outcome
	// says is part of the reason or, of what was breached, of the evidence.
	says string
	// waits says that the judge waits for what never comes, until its context ends.
	waits bool
	// either says that one trial alone is lied to, of the attack and of the barrier alone: says may be
	// part of the reason of either.
	either bool
}

// patience is how long a judge may wait for what never comes: many times what a container takes.
const patience = 2 * time.Second

// lies are all of them.
func lies() []lie {
	const dotdot, signal, bomb = "fs.dotdot", "process.signal-host", "pids.fork-bomb"
	return append(createLies(), []lie{
		{name: "a create that makes nothing", do: on("create", nothing), row: dotdot, want: record.Inconclusive, says: "read the pid file"},
		{name: "a create that makes nothing and names a process that has ended", do: on("create", staleFile), row: dotdot, want: record.Inconclusive, says: "the pid file"},
		{name: "a create that names a process that has ended", do: on("create", really, staleFile), row: dotdot, want: record.Inconclusive, says: "the pid file"},
		{name: "a create that names no process", do: on("create", really, pidFile("")), row: dotdot, want: record.Inconclusive, says: `the pid file says ""`},
		{name: "a create that names the host's init", do: on("create", really, pidFile("1\n")), row: dotdot, want: record.Inconclusive, says: "the pid file says"},
		{name: "a create that names a process of the host", do: on("create", really, nameBystander), row: signal, want: record.Inconclusive, says: "is not in cgroup"},
		{name: "a create that is killed when the container is made", do: on("create", really, killItself), row: dotdot, want: record.Inconclusive, says: "signal: killed"},
		{name: "a create that fails when the container is made", do: on("create", really, fail), row: dotdot, want: record.Inconclusive, says: "exit status 1"},
		{name: "a create that starts the program as well", do: on("create", startToo), row: dotdot, want: record.Inconclusive, says: " start: "},
		{name: "a start that starts nothing", do: on("start", nothing), row: dotdot, want: record.Inconclusive, waits: true, says: "the attacker did not end"},
		{name: "a start and a kill that do nothing", do: together(on("start", nothing), on("kill", nothing)), row: dotdot, want: record.Inconclusive, waits: true, says: "the attacker did not end"},
		{name: "a start that fails when the program has started", do: on("start", really, fail), row: dotdot, want: record.Inconclusive, says: " start: "},
		{name: "another attack in place of the one", do: edited(func(s *specs.Spec) { s.Process.Args[1] = attack.Live.Name }), row: signal, want: record.Inconclusive, says: "did not get to"},

		{name: "limits that are dropped", do: edited(func(s *specs.Spec) { s.Linux.Resources = nil }), row: bomb, want: record.Breached, says: "with a limit of 48"},
		{name: "a container in another cgroup", do: edited(elsewhere), row: bomb, want: record.Inconclusive, says: "is not in cgroup"},
		{name: "a container in another cgroup, without limits", row: bomb, want: record.Inconclusive, says: "is not in cgroup", do: edited(func(s *specs.Spec) {
			elsewhere(s)
			s.Linux.Resources = nil
		})},

		{name: "state in another place than it was told", row: "fs.bundle-private", want: record.Inconclusive, says: "none was found",
			do: together(always(otherState), on("delete", really, removeState))},

		{name: "a delete that deletes nothing", do: on("delete", nothing), row: dotdot, want: record.Inconclusive, says: "has left cgroup"},
		{name: "a delete that deletes nothing that lives", do: together(on("start", fail), on("delete", nothing)), row: dotdot, want: record.Inconclusive, says: "has left "},
		{name: "a delete that deletes nothing in another cgroup", do: together(edited(elsewhere), on("delete", nothing)), row: dotdot, want: record.Inconclusive, says: "-elsewhere"},
		{name: "a delete that leaves a cgroup", do: on("delete", really, leaveGroup), row: dotdot, want: record.Inconclusive, says: "has left cgroup"},
		{name: "a delete that leaves a process", do: on("delete", leaveProcess), row: dotdot, want: record.Inconclusive, says: "has left process"},
		{name: "a delete that leaves state", do: on("delete", really, leave("state", "left")), row: dotdot, want: record.Inconclusive, says: "has left file state/left"},
		{name: "a delete that leaves a file in the bundle", do: on("delete", really, leave("left")), row: dotdot, want: record.Inconclusive, says: "/left"},
		{name: "a delete that fails when all is deleted", do: on("delete", really, fail), row: dotdot, want: record.Inconclusive, says: " delete: exit status 1"},
	}...)
}

// declareLies has a runtime behind a wrapper for each lie.
func (s *stand) declareLies(runtime string) {
	for _, l := range lies() {
		ginkgo.It(fmt.Sprintf("reports %s with %s as %s", runtime, l.name, l.want), func(ctx ginkgo.SpecContext) {
			limited := context.Context(ctx)
			if l.waits {
				var cancel context.CancelFunc
				limited, cancel = context.WithTimeout(ctx, patience)
				defer cancel()
			}
			before := s.there()
			v := check(limited, s.run, s.wrapped(ctx, runtime, l.name), l.row, spec.Hardened)
			gomega.Expect(v.Outcome).To(gomega.Equal(l.want), "%s %s", v.Reason, v.Evidence)
			said := v.Reason + v.Evidence
			if l.either {
				said += "; " + v.Alone.Reason
			}
			gomega.Expect(said).To(gomega.ContainSubstring(l.says))
			// What was left is named, and gone.
			gomega.Expect(strings.Join(v.Leaks, "; ")).To(gomega.Equal(""))
			gomega.Expect(s.left(before)).To(gomega.Equal(""))
			gomega.Expect(s.bystanderIs()).To(gomega.ContainSubstring("sleeping"))
		})
	}
}

// declareBystander shows that the process that is nobody's container would tell of a runtime that kills
// too much: the harness does not ask.
func (s *stand) declareBystander(runtime string) {
	ginkgo.It("sees "+runtime+" with "+killsTooMuch+", which no verdict does", func(ctx ginkgo.SpecContext) {
		own := *s
		var err error
		own.bystander, err = newBystander()
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
		defer func() {
			_ = own.bystander.Process.Kill()
			_ = own.bystander.Wait() // it was killed
		}()
		gomega.Expect(own.bystanderIs()).NotTo(gomega.ContainSubstring("zombie"))
		v := check(ctx, s.run, own.wrapped(ctx, runtime, killsTooMuch), "fs.dotdot", spec.Hardened)
		gomega.Expect(v.Outcome).To(gomega.Equal(record.Held), "%s %s", v.Reason, v.Evidence)
		gomega.Expect(own.bystanderIs()).To(gomega.ContainSubstring("zombie"))
	})
}

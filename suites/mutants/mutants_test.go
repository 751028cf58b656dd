package mutants_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/judge"
	"cellwall/suites/mutants"
)

// TestMutants runs the specs on the real host: the judge is what is tested.
func TestMutants(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes containers")
	}
	run, err := judge.NewRun(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(); err != nil {
			t.Error(err)
		}
	})
	gomega.RegisterFailHandler(ginkgo.Fail)
	wrappers := newStand(t, run)
	// Ginkgo forgets specs that stand in no container.
	ginkgo.Describe("The judge", func() {
		declareLies(run)
		declareWeak(run)
		declareLeaks(run)
		wrappers.declareWrappers()
	})
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.FailOnEmpty = true
	ginkgo.RunSpecs(t, "mutants", suite, reporter)
	wrappers.count(t)
}

func row(id string) *guarantee.Guarantee {
	for _, g := range guarantee.All() {
		if g.ID == id {
			return g
		}
	}
	ginkgo.Fail("no guarantee " + id)
	return nil
}

// check judges one row on a runtime.
func check(ctx context.Context, run *judge.Run, rt driver.Runtime, id string, rung spec.Rung) record.Verdict {
	j, err := run.Judge(ctx, rt)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return j.Check(ctx, row(id), rung)
}

// What a scripted attacker says. $3 is the token of the trial.
const (
	ready   = `say() { printf '{"token":"%s",%s}\n' "$TOKEN" "$1"; }; TOKEN=$3; say '"hold":"ready"'; read go; `
	victim  = `pid=$(printf %s "$2" | sed 's/.*"pid":\([0-9]*\).*/\1/'); `
	refused = `say '"final":{"tries":[{"call":"kill 1","errno":3}]}'; `
	claimed = `say '"final":{"tries":[{"call":"kill 1","errno":0},{"call":"tgkill 1","errno":0},{"call":"rt_sigqueueinfo 1","errno":0},` +
		`{"call":"fcntl F_SETOWN 1","errno":0},{"call":"pidfd_open 1","errno":0}]}'; `
)

// declareLies has attackers and runtimes that do not tell the truth. The witness decides: what
// it did not see is not breached, what it saw is, and silence is neither.
func declareLies(run *judge.Run) {
	for _, c := range []struct {
		name, script string
		want         record.Outcome
		reason       string
	}{
		{name: "prints nothing", script: `exit 0`, want: record.Inconclusive, reason: "no final record (exit status 0)"},
		{name: "is ready and then ends", script: ready + `exit 0`, want: record.Inconclusive, reason: "no final record (exit status 0)"},
		{name: "crashes", script: ready + `kill -SEGV $$`, want: record.Inconclusive, reason: "no final record"},
		{name: "exits with an error", script: ready + `echo broken >&2; exit 3`, want: record.Inconclusive, reason: "broken"},
		{name: "says refused while the witness saw the breach", script: ready + victim + `kill -USR1 "$pid"; ` + refused, want: record.Breached},
		{name: "claims a breach that the witness did not see", script: ready + claimed, want: record.Held},
		{name: "leaves out part of the attack", script: ready + refused, want: record.Inconclusive, reason: "did not get to tgkill"},
		{name: "is ready twice", script: ready + `say '"hold":"ready"'; read go; ` + claimed, want: record.Inconclusive, reason: "ready twice"},
		{name: "ends before it is ready", script: `TOKEN=$3; say() { printf '{"token":"%s",%s}\n' "$TOKEN" "$1"; }; ` + claimed, want: record.Inconclusive, reason: "did not begin by being ready"},
		{name: "repeats the record of another trial", script: ready + `TOKEN=AAAA; ` + refused, want: record.Inconclusive, reason: "no final record"},
		{name: "prints what is no record", script: ready + `echo '{"final":{}}'; echo held; exit 0`, want: record.Inconclusive, reason: "no final record"},
		{name: "tries nothing and says it has ended", script: ready + `say '"final":{"tries":[]}'; `, want: record.Inconclusive, reason: "tried nothing"},
	} {
		ginkgo.It("reports an attacker that "+c.name+" as "+string(c.want), func(ctx ginkgo.SpecContext) {
			v := check(ctx, run, mutants.Scripted{Script: c.script}, "process.signal-host", spec.Hardened)
			// The attack alone: as a whole the verdict also rests on the barrier alone, which
			// the same runtime has run.
			gomega.Expect(v.Alone.Outcome).To(gomega.Equal(c.want), "%s %s", v.Alone.Reason, v.Alone.Evidence)
			gomega.Expect(v.Alone.Reason).To(gomega.ContainSubstring(c.reason))
			if c.want != record.Held {
				gomega.Expect(v.Outcome).To(gomega.Equal(c.want))
			}
		})
	}
	for id, reason := range map[string]string{
		"process.own-namespaces":    "never came to where it was to hold",
		"memory.limit-kills-inside": "", // its witness may judge a death, but not of one that it never saw
	} {
		ginkgo.It("reports an attacker that leaves out its hold as inconclusive: "+id, func(ctx ginkgo.SpecContext) {
			script := ready + claimed
			if reason == "" {
				script = `exit 0`
			}
			v := check(ctx, run, mutants.Scripted{Script: script}, id, spec.Hardened)
			gomega.Expect(v.Alone.Outcome).To(gomega.Equal(record.Inconclusive), "%s %s", v.Alone.Reason, v.Alone.Evidence)
			gomega.Expect(v.Alone.Reason).To(gomega.ContainSubstring(reason))
		})
	}
	ginkgo.It("reports a runtime that succeeds without running anything as inconclusive", func(ctx ginkgo.SpecContext) {
		v := check(ctx, run, mutants.Idle{}, "process.signal-host", spec.Hardened)
		gomega.Expect(v.Outcome).To(gomega.Equal(record.Inconclusive))
	})
}

// declareWeak has runtimes that lack one barrier each, and the rows that must see it.
func declareWeak(run *judge.Run) {
	for _, m := range []struct {
		edit spec.Edit
		rows []string
		// rung is where the runtime works at all without the barrier: in a user namespace the
		// kernel mounts no proc, sysfs or mqueue of a namespace that does not belong to it.
		rung spec.Rung
	}{
		{edit: spec.HostRootDirectory(), rows: []string{"fs.dotdot"}, rung: spec.Chroot},
		{edit: spec.WithoutNamespace(specs.PIDNamespace), rows: []string{"process.own-namespaces"}, rung: spec.Limits},
		{edit: spec.WithoutNamespace(specs.NetworkNamespace), rows: []string{"process.own-namespaces", "net.host-loopback", "ipc.abstract-socket"}, rung: spec.Limits},
		{edit: spec.WithoutNamespace(specs.IPCNamespace), rows: []string{"process.own-namespaces"}, rung: spec.Limits},
		{edit: spec.WithoutNamespace(specs.UTSNamespace), rows: []string{"process.own-namespaces"}},
		{edit: spec.WithoutNamespace(specs.CgroupNamespace), rows: []string{"process.own-namespaces", "leak.cgroup-path"}},
		{edit: spec.WithoutNamespace(specs.TimeNamespace), rows: []string{"process.own-namespaces"}},
		{edit: spec.WithoutNamespace(specs.UserNamespace), rows: []string{"process.own-namespaces", "user.root-unprivileged"}},
		{edit: spec.Change("no pids limit", func(s *specs.Spec) {
			if s.Linux.Resources != nil {
				s.Linux.Resources.Pids = nil
			}
		}), rows: []string{"pids.fork-bomb"}},
		{edit: spec.Change("no memory limit", func(s *specs.Spec) {
			if s.Linux.Resources != nil {
				s.Linux.Resources.Memory = nil
			}
		}), rows: []string{"memory.limit-kills-inside"}},
		{edit: spec.Change("a pids limit ten times too large", func(s *specs.Spec) {
			if s.Linux.Resources != nil && s.Linux.Resources.Pids != nil && s.Linux.Resources.Pids.Limit != nil {
				*s.Linux.Resources.Pids.Limit *= 10
			}
		}), rows: []string{"pids.fork-bomb"}},
		{edit: spec.Change("no seccomp", func(s *specs.Spec) { s.Linux.Seccomp = nil }), rows: []string{"syscall.filter-active"}},
		{edit: spec.Change("no_new_privs off", func(s *specs.Spec) { s.Process.NoNewPrivileges = false }), rows: []string{"user.no-new-privs"}},
		{edit: spec.WithCapability("CAP_SYS_ADMIN"), rows: []string{"user.capability-sets"}},
		{edit: spec.Change("no masked paths", func(s *specs.Spec) { s.Linux.MaskedPaths = nil }), rows: []string{"fs.masked-path"}},
		{edit: spec.Omitting("the launcher's descriptors", "close-descriptors"), rows: []string{"fs.inherited-dirfd"}},
		{edit: spec.Omitting("the launcher's session keyring", "session-keyring"), rows: []string{"user.session-keyring"}},
	} {
		for _, id := range m.rows {
			ginkgo.It("catches a runtime with "+m.edit.Name+" by "+id, func(ctx ginkgo.SpecContext) {
				rung := m.rung
				if rung == "" {
					rung = spec.Hardened
				}
				v := check(ctx, run, mutants.Weak{Runtime: run.Core, Edit: m.edit}, id, rung)
				gomega.Expect(v.Outcome).To(gomega.Equal(record.Breached), "%s %s", v.Reason, v.Evidence)
			})
		}
	}
}

// declareLeaks has runtimes that leave something behind.
func declareLeaks(run *judge.Run) {
	ginkgo.It("sees a cgroup that a runtime leaves", func(ctx ginkgo.SpecContext) {
		var left []*cgroup.Group
		rt := mutants.Leaky{Runtime: run.Core, Leak: func(b driver.Bundle) error {
			g, err := b.Parent.Create(b.ID+"-left", cgroup.Limits{})
			left = append(left, g)
			return err
		}}
		v := check(ctx, run, rt, "fs.dotdot", spec.Hardened)
		for _, g := range left {
			gomega.Expect(g.Close()).To(gomega.Succeed())
		}
		gomega.Expect(v.Outcome).To(gomega.Equal(record.Inconclusive))
		gomega.Expect(v.Reason).To(gomega.ContainSubstring("cgroup"))
	})
	ginkgo.It("ends a process that a runtime leaves outside of all its cgroups", func(ctx ginkgo.SpecContext) {
		var left []*exec.Cmd
		rt := mutants.Leaky{Runtime: run.Core, Leak: func(b driver.Bundle) error {
			// By the token alone it can be told whose it is.
			cmd := exec.Command("/bin/sh", "-c", "read x", b.Spec.Process.Args[3])
			if _, err := cmd.StdinPipe(); err != nil { // Wait closes it
				return err
			}
			left = append(left, cmd)
			return cmd.Start()
		}}
		v := check(ctx, run, rt, "fs.dotdot", spec.Hardened)
		gomega.Expect(v.Outcome).To(gomega.Equal(record.Inconclusive))
		gomega.Expect(v.Reason).To(gomega.ContainSubstring("has left process"))
		gomega.Expect(left).NotTo(gomega.BeEmpty())
		for _, cmd := range left {
			gomega.Expect(cmd.Wait()).To(gomega.MatchError(gomega.ContainSubstring("killed")))
		}
	})
	ginkgo.It("sees a descriptor that a runtime leaves", func(ctx ginkgo.SpecContext) {
		var left []*os.File
		rt := mutants.Leaky{Runtime: run.Core, Leak: func(driver.Bundle) error {
			f, err := os.Open(os.DevNull)
			left = append(left, f)
			return err
		}}
		v := check(ctx, run, rt, "fs.dotdot", spec.Hardened)
		for _, f := range left {
			gomega.Expect(f.Close()).To(gomega.Succeed())
		}
		gomega.Expect(v.Outcome).To(gomega.Equal(record.Inconclusive))
		gomega.Expect(v.Reason).To(gomega.ContainSubstring("descriptor"))
	})
}

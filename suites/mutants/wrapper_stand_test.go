package mutants_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/judge"
	"cellwall/suites/sentinel"
)

// stand is where wrappers are made for a suite: scripts in a directory.
type stand struct {
	run       *judge.Run
	dir       string
	self      string
	bystander *exec.Cmd // a process that is nobody's container
	programs  map[string]string
	caught    map[string]map[string]bool // names of weaknesses, by runtime
}

// runtimes are those whose real programs are wrapped.
func runtimes() []string { return []string{"runc", "crun"} }

// script is a wrapper's program. What the wrapper is not for goes to the real runtime at once, since a shell starts in
// a tenth of this program's time.
const script = `#!/bin/sh
case " $* " in
*' %s '*) ;;
*) exec %s "$@" ;;
esac
self=%s
export %s=%s %s=%s %s=%d
exec "$self" "$@"
`

// wrapped returns a runtime as the driver sees it, whose program is a wrapper.
func (s *stand) wrapped(ctx context.Context, runtime, name string) driver.Runtime {
	file := filepath.Join(s.dir, runtime+"-"+strings.ReplaceAll(name, "/", "-"))
	w, ok := wrapperOf(name)
	gomega.Expect(ok).To(gomega.BeTrue(), "no wrapper %q", name)
	text := fmt.Sprintf(script, strings.Join(w.commands, " '* | *' "), quoted(s.programs[runtime]), quoted(s.self),
		wrapperVariable, quoted(name), realVariable, quoted(s.programs[runtime]), bystanderVariable, s.bystander.Process.Pid)
	gomega.Expect(os.WriteFile(file, []byte(text), 0o700)).To(gomega.Succeed())
	rt, err := driver.Find(ctx, runtime+"="+file, s.run.Core)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return rt
}

// quoted is a word for the shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// newStand finds the real runtimes. Of one that is not on this host there is a skipped test.
func newStand(t *testing.T, run *judge.Run) *stand {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{
		run: run, dir: t.TempDir(), self: self,
		programs: map[string]string{}, caught: map[string]map[string]bool{},
	}
	if s.bystander, err = newBystander(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.bystander.Process.Kill()
		_ = s.bystander.Wait() // it was killed
	})
	for _, runtime := range runtimes() {
		t.Run(runtime, func(t *testing.T) {
			program, err := exec.LookPath(runtime)
			if err != nil {
				t.Skipf("needs %s: %v", runtime, err)
			}
			s.programs[runtime], s.caught[runtime] = program, map[string]bool{}
		})
	}
	return s
}

// newBystander starts a process that sleeps until it is killed, or until we end.
func newBystander() (*exec.Cmd, error) {
	cmd := exec.Command("cat")
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return cmd, cmd.Start()
}

// declareWrappers has the real runtimes behind wrappers that weaken what they are asked for, or lie
// about what they did.
func (s *stand) declareWrappers() {
	for _, runtime := range runtimes() {
		if s.programs[runtime] != "" {
			s.declare(runtime)
		}
	}
}

// declare has one runtime behind all wrappers.
func (s *stand) declare(runtime string) {
	for _, id := range []string{"fs.dotdot", "process.signal-host", "user.capability-sets"} {
		ginkgo.It("does not accuse a wrapper around "+runtime+" that changes nothing: "+id, func(ctx ginkgo.SpecContext) {
			v := check(ctx, s.run, s.wrapped(ctx, runtime, unchanged), id, spec.Hardened)
			gomega.Expect(v.Outcome).To(gomega.Equal(record.Held), "%s %s", v.Reason, v.Evidence)
		})
	}
	s.declareWeaknesses(runtime)
	s.declareUntold(runtime)
	s.declareLies(runtime)
	s.declareBystander(runtime)
}

// there is what trials have made and not removed: cgroups and processes in the fence, and files.
func (s *stand) there() []string {
	var all []string
	procs, err := s.run.Fence.Procs()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	for _, pid := range procs {
		all = append(all, fmt.Sprintf("process %d", pid))
	}
	// A runtime makes its group in all hierarchies, the fence is in some.
	groups, err := cgroup.At(s.run.Fence.Hierarchies()[0].Below)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	for _, dir := range append(groups, s.run.Dir) {
		found, err := filepath.Glob(filepath.Join(dir, s.run.Name+"-*"))
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
		all = append(all, found...)
	}
	return all
}

// left names what is there and was not before.
func (s *stand) left(before []string) string {
	return strings.Join(slices.DeleteFunc(s.there(), func(name string) bool { return slices.Contains(before, name) }), ", ")
}

// bystanderIs is the state of the process that is nobody's container: a zombie, if somebody has
// killed it.
func (s *stand) bystanderIs() string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.bystander.Process.Pid))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return sentinel.StatusField(string(status), "State:")
}

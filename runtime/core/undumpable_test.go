package core_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// TestNeighbourSeesNoLauncher: a container that is about to start has the launcher's memory and
// program, which the others in its pid namespace must not reach (CVE-2016-9962). Once it has started
// it is an ordinary process.
func TestNeighbourSeesNoLauncher(t *testing.T) {
	f := newFixture(t)
	few := spec.Change("no capabilities", func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} })
	neighbour, _ := f.hold(t, spec.Namespaces, few.Apply)
	o := f.options
	o.Args = []string{program, "wait"}
	s, _ := spec.Edits{few, spec.JoinNamespace(specs.PIDNamespace, "/proc/"+itoa(neighbour.Pid())+"/ns/pid")}.Apply(spec.New(spec.Namespaces, o))
	stdin, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()  //nolint:errcheck // ends the container
	defer stdin.Close() //nolint:errcheck // read-only
	c, err := f.launcher.Create(t.Context(), "seen", core.Options{Spec: s, Parent: f.parent, Stdin: stdin})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, c.Delete()) }()
	environment := "/proc/" + innerPid(t, c.Pid()) + "/environ"
	look := func() string {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close() //nolint:errcheck // read-only
		p, err := neighbour.Exec(t.Context(), core.DefaultProcess(s, []string{program, "cat", environment}), nil, write, nil)
		check(t, write.Close())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { check(t, p.Close()) }()
		text, err := io.ReadAll(read)
		check(t, err)
		return string(text)
	}
	if got := look(); !strings.Contains(got, "permission denied") {
		t.Errorf("before it starts the neighbour reads %.80q", got)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := look(); !strings.HasPrefix(got, "PATH=") {
		t.Errorf("once it has started the neighbour reads %.80q", got)
	}
}

// innerPid is a process's pid in its own pid namespace.
func innerPid(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if pids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			list := strings.Fields(pids)
			return list[len(list)-1]
		}
	}
	t.Fatalf("no NSpid in %s", status)
	return ""
}

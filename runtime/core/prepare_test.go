package core_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// groupsOf starts a container from a thread with a group of its own and returns the Groups
// line of its init, and what its user namespace says of setgroups.
func groupsOf(t *testing.T, rung spec.Rung, omit []string, edits ...spec.Edit) (groups, setgroups string) {
	t.Helper()
	f := newFixture(t)
	const group = 3<<20 + 77
	o := f.options
	o.Args = []string{program, "wait"}
	s, _ := spec.Edits(edits).Apply(spec.New(rung, o))
	in, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close() //nolint:errcheck // it only ends the container
	defer in.Close()   //nolint:errcheck // read-only
	c, err := f.launcher.Create(t.Context(), "cellwall-prepare", core.Options{
		Spec: s, Parent: f.parent, Omit: omit, Stdin: in,
		Prepare: func() error {
			groups := [1]uint32{group}
			// The call itself: the library's is for all threads.
			_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&groups[0])), 0)
			if errno != 0 {
				return errno
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, c.Delete()) })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("/proc", strconv.Itoa(c.Pid()))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "Groups:"); ok {
			groups = strings.TrimSpace(v)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "setgroups"))
	if err != nil {
		t.Fatal(err)
	}
	return groups, strings.TrimSpace(string(b))
}

// What the prepared thread has is inherited unless the plan takes it away, and stays where
// setgroups is denied.
func TestPrepare(t *testing.T) {
	deny := spec.Change("setgroups denied", func(s *specs.Spec) {
		s.Annotations = map[string]string{spec.DenySetgroups: "true"}
	})
	const group = "3145805"
	for _, test := range []struct {
		name              string
		rung              spec.Rung
		omit              []string
		edits             spec.Edits
		groups, setgroups string
	}{
		{name: "taken away", rung: spec.Namespaces, setgroups: "allow"},
		{name: "left", rung: spec.Namespaces, omit: []string{"set-groups"}, groups: group, setgroups: "allow"},
		{name: "user namespace", rung: spec.Hardened, setgroups: "allow"},
		{name: "denied", rung: spec.Hardened, edits: spec.Edits{deny}, groups: group, setgroups: "deny"},
	} {
		t.Run(test.name, func(t *testing.T) {
			groups, setgroups := groupsOf(t, test.rung, test.omit, test.edits...)
			if groups != test.groups || setgroups != test.setgroups {
				t.Errorf("groups %q, setgroups %q; want %q, %q", groups, setgroups, test.groups, test.setgroups)
			}
		})
	}
	mine, err := unix.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range mine {
		if strconv.Itoa(g) == group {
			t.Error("the launcher itself has the group")
		}
	}
}

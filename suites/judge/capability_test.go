package judge

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

func TestAffordable(t *testing.T) {
	held := []string{"CAP_KILL", "CAP_SYS_ADMIN"}
	for _, test := range []struct {
		name  string
		edits spec.Edits
		lacks bool
	}{
		{name: "what the rung keeps"},
		{name: "one that is held", edits: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")}},
		{name: "one that is not", edits: spec.Edits{spec.WithCapability("CAP_SYS_RESOURCE")}, lacks: true},
		{name: "none listed", edits: spec.Edits{spec.Change("no list", func(s *specs.Spec) { s.Process.Capabilities = nil })}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := test.edits.Apply(spec.New(spec.Hardened, spec.Options{Rootfs: "/", Args: []string{"/x"}, Capabilities: held}))
			if err := affordable(s, held); errors.Is(err, kernel.ErrNotSupported) != test.lacks {
				t.Errorf("%v", err)
			}
		})
	}
}

// covered is set for a test's program in a mount namespace in which something hides a part of /proc.
const covered = "CELLWALL_TEST_COVERED"

// isCovered runs the calling test once more where a part of /proc is covered, in a process of its own since
// gates remember, and reports whether this is that process. A read-only sysfs, as a plain container's, is what
// containers have too.
func isCovered(t *testing.T) bool {
	t.Helper()
	if os.Getenv(covered) != "" {
		if err := errors.Join(
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""),
			kernel.SysfsInUserNamespace.Check(), unix.Mount("/dev/null", "/proc/version", "", unix.MS_BIND, ""),
		); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	for _, f := range []*kernel.Feature{kernel.MountNamespace, kernel.ProcInUserNamespace, kernel.SysfsInUserNamespace} {
		if err := f.Check(); err != nil {
			t.Skip(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), covered+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return false
}

func TestMountable(t *testing.T) {
	if !isCovered(t) {
		return
	}
	for rung, refused := range map[spec.Rung]bool{spec.Chroot: false, spec.Limits: false, spec.Hardened: true} {
		err := mountable(spec.New(rung, spec.Options{Rootfs: "/", Args: []string{"/x"}}))
		if errors.Is(err, kernel.ErrNotSupported) != refused || err != nil && !refused {
			t.Errorf("%s: %v", rung, err)
		}
	}
}

// changing is a runtime that makes its containers of another spec.
type changing struct {
	driver.Runtime
	change func(*specs.Spec)
}

func (r changing) Create(ctx context.Context, b driver.Bundle) (driver.Container, error) {
	b.Spec = spec.Clone(b.Spec)
	r.change(b.Spec)
	return r.Runtime.Create(ctx, b)
}

// TestRefusedMount: that the kernel refuses a mount excuses the runtime whose container does not begin, and it
// alone.
func TestRefusedMount(t *testing.T) {
	if !isCovered(t) {
		return
	}
	run, err := NewRun(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close() //nolint:errcheck // the test is over
	without := func(s *specs.Spec) {
		s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "proc" })
	}
	const row, failing = "uts.hostname-host", "lifecycle.failed-create-clean" // the second has creations fail
	for _, c := range []struct {
		name   string
		change func(*specs.Spec)
		id     string
		want   record.Outcome
		reason string
	}{
		{name: "is refused", change: func(*specs.Spec) {}, id: row, want: record.Unsupported, reason: kernel.ProcInUserNamespace.Name},
		{name: "ends without a word", change: func(s *specs.Spec) {
			without(s)
			s.Process.Args = s.Process.Args[:1]
		}, id: row, want: record.Unsupported, reason: kernel.ProcInUserNamespace.Name},
		{name: "does without", change: without, id: row, want: record.Held},
		{name: "does without", change: without, id: failing, want: record.Held},
	} {
		i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == c.id })
		v := (&Judge{Run: run, Runtime: changing{run.Core, c.change}}).Check(t.Context(), guarantee.All()[i], spec.Hardened)
		if v.Outcome != c.want || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s on a runtime that %s: %s: %s", c.id, c.name, v.Outcome, v.Reason)
		}
	}
}

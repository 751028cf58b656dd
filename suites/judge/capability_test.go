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

// without is a runtime that does without a kind of mount, as crun can where the kernel refuses it a sysfs.
type without struct {
	driver.Runtime
	kind string
}

func (r without) Create(ctx context.Context, b driver.Bundle) (driver.Container, error) {
	b.Spec = spec.Clone(b.Spec)
	b.Spec.Mounts = slices.DeleteFunc(b.Spec.Mounts, func(m specs.Mount) bool { return m.Type == r.kind })
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
	for _, c := range []struct {
		runtime driver.Runtime
		id      string
		want    record.Outcome
		reason  string
	}{
		{runtime: run.Core, id: "uts.hostname-host", want: record.Unsupported, reason: kernel.ProcInUserNamespace.Name},
		{runtime: without{run.Core, "proc"}, id: "uts.hostname-host", want: record.Held},
		{runtime: without{run.Core, "proc"}, id: "lifecycle.failed-create-clean", want: record.Held}, // it has creations fail
	} {
		i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == c.id })
		v := (&Judge{Run: run, Runtime: c.runtime}).Check(t.Context(), guarantee.All()[i], spec.Hardened)
		if v.Outcome != c.want || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s of %T: %s: %s", c.id, c.runtime, v.Outcome, v.Reason)
		}
	}
}

package judge

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
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

// covered is set for this test's program in a mount namespace in which something hides a part of /proc.
const covered = "CELLWALL_TEST_COVERED"

// TestMountable asks in a process of its own, since gates remember. A read-only sysfs, as a plain container's,
// is what containers have too.
func TestMountable(t *testing.T) {
	if os.Getenv(covered) == "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root: mounts")
		}
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestMountable$")
		cmd.Env = append(os.Environ(), covered+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""),
		kernel.SysfsInUserNamespace.Check(), unix.Mount("/dev/null", "/proc/version", "", unix.MS_BIND, ""),
	); err != nil {
		t.Fatal(err)
	}
	for rung, refused := range map[spec.Rung]bool{spec.Chroot: false, spec.Limits: false, spec.Hardened: true} {
		err := mountable(spec.New(rung, spec.Options{Rootfs: "/", Args: []string{"/x"}}))
		if errors.Is(err, kernel.ErrNotSupported) != refused || err != nil && !refused {
			t.Errorf("%s: %v", rung, err)
		}
	}
}

package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// A tool that mounts, and leaves that to others. The directory is the container's own.
const mounting = `name: mounting
version: [echo, "1"]
rung: chroot
command: [sh, -c, 'mount --bind "$0/etc" "$0/run" && exec chroot "$0" "$@"', "{rootfs}", "{cmd}"]
claims: ["fs.dotdot"]
`

// TestMountsAreNamedAndStayAway has a tool mount something: not here, and not in silence.
func TestMountsAreNamedAndStayAway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mounting.yaml")
	check(t, os.WriteFile(file, []byte(mounting), 0o600))
	each(t, []subject{{"exec:" + file, spec.Chroot}}, "exit", func(t *testing.T, s *stand, rt driver.Runtime) {
		before, err := os.ReadFile("/proc/self/mountinfo")
		check(t, err)
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		if status, err := c.Wait(t.Context()); err != nil || status.Code != 7 {
			t.Errorf("ended: %+v, %v", status, err)
		}
		err = c.Delete(t.Context())
		if left := (*cleanup.Left)(nil); !errors.As(err, &left) || !strings.Contains(err.Error(), "mount "+s.bundle.Spec.Root.Path+"/run") {
			t.Errorf("delete: %v", err)
		}
		if after, err := os.ReadFile("/proc/self/mountinfo"); err != nil || string(after) != string(before) {
			t.Errorf("the host's mounts have changed: %v\n%s", err, after)
		}
		s.clean(t)
	})
}

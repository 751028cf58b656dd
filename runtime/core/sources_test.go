package core_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
)

// TestFlagsOfSources: a volume and the root directory keep the flags of the mounts in which they lie, with and without
// mount_setattr(2). Another mount namespace than the launcher's has them here, and a file that is bound.
func TestFlagsOfSources(t *testing.T) {
	f := newFixture(t)
	root, source := f.options.Rootfs, t.TempDir()
	file := filepath.Join(source, "f")
	from := privateMounts(t, func() error {
		const all = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | 0x100 // MS_NOSYMFOLLOW
		if err := unix.Mount("tmpfs", source, "tmpfs", all, "mode=755"); err != nil {
			return err
		}
		if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if err := unix.Mount("", root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
			return err
		}
		return os.WriteFile(file, nil, 0o644) // bound
	})
	bound := spec.Change("sources of another mount namespace", func(s *specs.Spec) {
		s.Root.Readonly = true
		s.Mounts = append(s.Mounts, spec.Bind(source, "/volume", "ro"), spec.Bind(file, "/file", "ro"))
	})
	for _, kernel := range []string{"new", "old"} {
		if kernel == "old" {
			f.launcher.ForgetMountSetattr()
		}
		for _, r := range []spec.Rung{spec.Namespaces, spec.Hardened} {
			out, _ := f.runFrom(t, from, r, spec.Edits{bound}, "cat", "/proc/self/mountinfo")
			for at, want := range map[string]string{
				"/":       "ro,nosuid,nodev,relatime",
				"/volume": "ro,nosuid,nodev,noexec,relatime,nosymfollow",
				"/file":   "ro,nosuid,nodev,noexec,relatime,nosymfollow",
			} {
				if !strings.Contains(out, " "+at+" "+want+" ") {
					t.Errorf("%s kernel, %s: %s is not %s in\n%s", kernel, r, at, want, out)
				}
			}
		}
	}
}

package core_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
)

// TestMountPointsWhateverTheUmask: the directories above a mount are for everybody in the container, however
// careful the launcher is with files of its own.
func TestMountPointsWhateverTheUmask(t *testing.T) {
	f := newFixture(t)
	for _, rung := range []spec.Rung{spec.Namespaces, spec.Hardened} {
		name := "for-" + string(rung)
		mount := spec.WithMount(specs.Mount{Destination: "/" + name + "/data", Type: "tmpfs", Source: "tmpfs"})
		func() {
			defer unix.Umask(unix.Umask(0o077))
			f.run(t, rung, spec.Edits{mount}, "exit")
		}()
		for _, dir := range []string{name, name + "/data"} {
			info, err := os.Stat(filepath.Join(f.options.Rootfs, dir))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o755 {
				t.Errorf("%s is %v", dir, info.Mode())
			}
		}
	}
}

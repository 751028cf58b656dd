package sentinel

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// TestRunAsHasExecuted: what a program gains is read when its execve is over. That is late where it has many
// descriptors to close behind those by which os/exec learns of it.
func TestRunAsHasExecuted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a file a capability and to take another uid")
	}
	if err := gainable(); err != nil {
		t.Skip(err)
	}
	const host, runs = 65534, 30
	const many, behind = 10_000, 1000
	path := filepath.Join(t.TempDir(), "helper")
	if err := os.WriteFile(path, attack.Helper(), 0o755); err != nil { // to be executed
		t.Fatal(err)
	}
	if err := unix.Setxattr(path, "security.capability", attack.FileCapability(plantedCapability), 0); err != nil {
		t.Skip("no file capabilities here: ", err)
	}
	for range many {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, behind)
		if err != nil {
			break // the limit
		}
		defer unix.Close(fd) //nolint:errcheck // nothing was written
	}
	for range runs {
		text, err := runAs(path, host)
		if err != nil {
			t.Fatal(err)
		}
		if got := StatusField(text, "CapEff:"); got != "0000000000000400" {
			t.Fatalf("it runs with CapEff %s", got)
		}
	}
}

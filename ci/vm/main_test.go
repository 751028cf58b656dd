package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellwall/ci/vm/guest"
)

// The test binary is also QEMU, a kernel, the guest's init and its command.
func TestMain(m *testing.M) {
	switch {
	case guest.Here():
		guest.Main()
	case strings.HasPrefix(filepath.Base(os.Args[0]), "qemu-system-"):
		os.Exit(fakeQEMU(os.Args[1:]))
	case os.Args[0] == fakeKernelName:
		os.Exit(fakeKernel(os.Args[1], os.Args[2]))
	case len(os.Args) > 1 && os.Args[1] == payloadName:
		os.Exit(payload(os.Args[2:]))
	case len(os.Args) > 2 && os.Args[1] == runnerName:
		os.Exit(runner(os.Args[2:]))
	}
	os.Exit(m.Run())
}

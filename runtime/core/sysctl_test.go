package core_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// TestSysctlIsWrittenToTheKernel lays a directory of ours over /proc/sys/net of the container, as
// a volume and a symlink of an image can: what the core writes must not go there
// (CVE-2025-52881).
func TestSysctlIsWrittenToTheKernel(t *testing.T) {
	const name, value = "ipv4/ip_default_ttl", "77"
	for _, r := range []spec.Rung{spec.Namespaces, spec.Hardened} {
		t.Run(string(r), func(t *testing.T) {
			f := newFixture(t)
			over := filepath.Join(t.TempDir(), "over")
			sentinel := filepath.Join(over, name)
			check(t, os.MkdirAll(filepath.Dir(sentinel), 0o755))
			check(t, os.WriteFile(sentinel, []byte("sentinel"), 0o666))
			check(t, os.Chmod(sentinel, 0o666)) // so that only the path decides
			c, _ := f.hold(t, r, func(s *specs.Spec) {
				spec.WithMount(specs.Mount{Destination: "/proc/sys/net", Source: over, Options: []string{"bind"}}).Apply(s)
				s.Linux.Sysctl = map[string]string{"net.ipv4.ip_default_ttl": value}
			})
			if b, err := os.ReadFile(sentinel); string(b) != "sentinel" || err != nil {
				t.Errorf("the core wrote %q over the sentinel, %v", b, err)
			}
			got, err := readInNetwork(c.Pid(), "/proc/sys/net/"+name)
			if got != value || err != nil {
				t.Errorf("the container's sysctl is %q, %v; want %q", got, err, value)
			}
		})
	}
}

// TestProgramHasNoWayToTheLaunchersProc: the kernel looks for the interpreter of a script while the child's
// descriptors are still there (CVE-2024-21626).
func TestProgramHasNoWayToTheLaunchersProc(t *testing.T) {
	f := newFixture(t)
	o := f.options
	o.Args = []string{"/script"}
	script := filepath.Join(o.Rootfs, o.Args[0])
	s := spec.New(spec.Namespaces, o)
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_default_ttl": "77"}
	for n := 3; n < 16; n++ {
		check(t, os.WriteFile(script, fmt.Appendf(nil, "#!/proc/self/fd/%d/../self/exe\n", n), 0o755))
		check(t, os.Chmod(script, 0o755))
		c, err := f.launcher.Create(t.Context(), "held", core.Options{Spec: s, Parent: f.parent})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context()); err == nil {
			t.Errorf("through descriptor %d it reaches the launcher's program", n)
		}
		check(t, c.Delete())
	}
}

// readInNetwork reads a file of our /proc/sys/net as a process in the network namespace of pid
// sees it.
func readInNetwork(pid int, path string) (text string, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends in that namespace
		var ns *os.File
		if ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil {
			return
		}
		defer ns.Close() //nolint:errcheck // read-only
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		var b []byte
		b, err = os.ReadFile(path)
		text = strings.TrimSpace(string(b))
	}()
	<-done
	return text, err
}

package probes

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// ours counts the loaded programs that bear our name, and the time that the kernel has spent in
// them since ebpf.EnableStats.
func ours(t testing.TB) (n int, spent time.Duration) {
	t.Helper()
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return n, spent
		}
		if err != nil {
			t.Fatal(err)
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // gone meanwhile
		}
		info, err := p.Info()
		if err == nil && info.Name == programName {
			n++
			if s, err := p.Stats(); err == nil {
				spent += s.Runtime
			}
		}
		_ = p.Close()
	}
}

// Whatever ends a process ends its probes.
func TestNothingIsLeftOfAKilledProbe(t *testing.T) {
	needRoot(t)
	before, _ := ours(t)
	g := newGroup(t, "killed", cgroup.Limits{Controllers: []string{"cpu"}})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "0", g.Path("cpu"))
	c.Env = append(os.Environ(), helperEnv+"=hold")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // the helper is gone
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "attached ") {
		t.Fatalf("%q, %v", line, err)
	}
	if strings.Contains(line, string(Files)) {
		t.Skip("this kernel takes no program")
	}
	if during, _ := ours(t); during <= before {
		t.Errorf("%d programs before, %d while a probe is attached", before, during)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	// The kernel frees programs after a grace period; go test has a time limit.
	for left, _ := ours(t); left > before && t.Context().Err() == nil; left, _ = ours(t) {
	}
}

package probes

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// ours counts the loaded programs that bear our name and came after one, the time that the kernel has
// spent in them since ebpf.EnableStats, and returns the last of all there are. Programs of a probe that
// was closed go only after a grace period, and ids only grow.
func ours(t testing.TB, after ebpf.ProgramID) (n int, spent time.Duration, last ebpf.ProgramID) {
	t.Helper()
	for id := after; ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return n, spent, id
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
	_, _, last := ours(t, 0)
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
	end := sync.OnceFunc(func() { _, _ = c.Process.Kill(), c.Wait() }) // also where the test is skipped: it is in our cgroup
	defer end()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "attached ") {
		t.Fatalf("%q, %v", line, err)
	}
	if strings.Contains(line, string(Files)) {
		t.Skip("this kernel takes no program")
	}
	if during, _, _ := ours(t, last); during == 0 {
		t.Error("no program came while a probe is attached")
	}
	end()
	// The kernel frees programs after a grace period; go test has a time limit.
	for left, _, _ := ours(t, last); left > 0 && t.Context().Err() == nil; left, _, _ = ours(t, last) {
	}
}

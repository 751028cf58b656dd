package place

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellwall/runtime/cgroup"
)

const (
	tasks  = 100
	memory = 64 << 20
)

func TestPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	p, err := Take(t.TempDir(), tasks, memory)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Fence.Limits()
	if err != nil || got.PidsMax != tasks || got.MemoryMax != memory {
		t.Errorf("the fence has %+v, %v", got, err)
	}
	if o := p.Options; o.HostID < firstBlock || o.IDCount != IDCount || SpareIDs < IDCount || SpareIDs+IDCount > idBlock {
		t.Errorf("ids from %d, %d of them, spare ones %d above", o.HostID, o.IDCount, SpareIDs)
	}
	program, err := p.CopySelf("program")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(program); err != nil || info.Mode().Perm()&0o111 != 0o111 || filepath.Dir(program) != p.Dir {
		t.Errorf("%s: %v, %v", program, info, err)
	}
	if err := CopyProgram(program, program); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file was written over: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{p.Dir, p.Lease} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	if left, err := cgroup.FindLeft(p.Name); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A fence that is not what was asked for is none, and nothing is left of it.
func TestFenceThatDoesNotHold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	before, err := cgroup.FindLeft(cgroup.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, err := Take(dir, tasks, memory+1) // the kernel counts pages
	if p != nil || err == nil || !strings.Contains(err.Error(), "memory") {
		t.Fatalf("%v, %v", p, err)
	}
	after, err := cgroup.FindLeft(cgroup.Prefix)
	if err != nil || len(after) > len(before) {
		t.Errorf("left behind: %v, before %v, %v", after, before, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 1 { // the leases' own lock may stay
		t.Errorf("left behind: %v, %v", list, err)
	}
}

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// kernelOf is what stands for the kernel: it makes the files of a hierarchy where one is mounted.
type kernelOf struct {
	controllers string            // of v2
	refuses     map[string]error  // by mount data
	files       map[string]string // of every v1 hierarchy
	mounts      []string
}

func (k *kernelOf) mount(source, target, kind string, flags uintptr, data string) error {
	if err := k.refuses[data]; err != nil {
		return err
	}
	if source != kind || flags != cgroupFlags {
		return unix.EINVAL
	}
	k.mounts = append(k.mounts, fmt.Sprintf("%s %s %s", kind, filepath.Base(target), data))
	files := map[string]string{}
	switch kind {
	case "cgroup2":
		files = map[string]string{"cgroup.controllers": k.controllers, "cgroup.subtree_control": ""}
	case "cgroup":
		files = k.files
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(target, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// procCgroups is that of Debian 12, shortened.
const procCgroups = `#subsys_name	hierarchy	num_cgroups	enabled
cpuset	0	1	1
cpu	0	1	1
cpuacct	0	1	1
blkio	0	1	1
memory	0	1	0
devices	0	1	1
net_cls	0	1	1
net_prio	0	1	1
pids	0	1	1
`

func standIn(t *testing.T, k *kernelOf) cgroups {
	t.Helper()
	root, proc := filepath.Join(t.TempDir(), "cgroup"), filepath.Join(t.TempDir(), "cgroups")
	if err := errors.Join(os.Mkdir(root, 0o755), os.WriteFile(proc, []byte(procCgroups), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cgroups{root: root, proc: proc, mount: k.mount}
}

func TestV1EachByItself(t *testing.T) {
	k := &kernelOf{refuses: map[string]error{"pids": unix.EINVAL}}
	c := standIn(t, k)
	session, notes, err := c.up(V1)
	if err != nil || session != "" {
		t.Fatal(session, err)
	}
	want := []string{
		"tmpfs cgroup mode=755", "cgroup cpuset cpuset", "cgroup cpu cpu", "cgroup cpuacct cpuacct", "cgroup blkio blkio", "cgroup devices devices",
		"cgroup net_cls net_cls", "cgroup net_prio net_prio",
	}
	if !slices.Equal(k.mounts, want) {
		t.Errorf("mounted %q, want %q", k.mounts, want)
	}
	wantNotes := []string{
		"cgroup v1: mount pids: invalid argument",
		"cgroup v1: there is no controller memory: kernels since 6.12 may have it for v2 alone, without CONFIG_MEMCG_V1",
		"cgroup v1: there is no controller freezer", "cgroup v1: there is no controller pids",
	}
	if !slices.Equal(notes, wantNotes) {
		t.Errorf("notes %q, want %q", notes, wantNotes)
	}
	if _, err := os.Stat(filepath.Join(c.root, "pids")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of a controller that is not there: %v", err)
	}
}

func TestHybridAsSystemd(t *testing.T) {
	k := &kernelOf{refuses: map[string]error{"nsdelegate,memory_recursiveprot": unix.EINVAL}}
	c := standIn(t, k)
	if _, _, err := c.up(Hybrid); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"tmpfs cgroup mode=755", "cgroup cpuset cpuset", "cgroup cpu,cpuacct cpu,cpuacct", "cgroup blkio blkio", "cgroup devices devices",
		"cgroup net_cls,net_prio net_cls,net_prio", "cgroup pids pids", "cgroup systemd none,name=systemd", "cgroup2 unified nsdelegate",
	}
	if !slices.Equal(k.mounts, want) {
		t.Errorf("mounted %q, want %q", k.mounts, want)
	}
	for _, name := range []string{"cpu", "cpuacct"} {
		if target, err := os.Readlink(filepath.Join(c.root, name)); target != "cpu,cpuacct" || err != nil {
			t.Errorf("%s links to %q, %v", name, target, err)
		}
	}
}

func TestV1MemoryIsHierarchical(t *testing.T) {
	k := &kernelOf{files: map[string]string{"memory.use_hierarchy": "0"}}
	c := standIn(t, k)
	if err := os.WriteFile(c.proc, []byte("memory\t0\t1\t1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.up(V1); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(c.root, "memory/memory.use_hierarchy")); string(b) != "1" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// The files of a group are made here, as the kernel makes them at mkdir.
func TestV2(t *testing.T) {
	k := &kernelOf{controllers: "cpuset cpu io pids\n"}
	c := standIn(t, k)
	c.mkdir = func(dir string) error {
		return errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "cgroup.procs"), nil, 0o600))
	}
	session, notes, err := c.up(V2)
	if err != nil || session != filepath.Join(c.root, "session") {
		t.Fatal(session, err)
	}
	if want := []string{"cgroup2 cgroup nsdelegate,memory_recursiveprot"}; !slices.Equal(k.mounts, want) {
		t.Errorf("mounted %q", k.mounts)
	}
	if want := []string{"cgroup v2: there is no controller memory"}; !slices.Equal(notes, want) {
		t.Errorf("notes %q", notes)
	}
	if b, err := os.ReadFile(filepath.Join(c.root, "init.scope/cgroup.procs")); string(b) != "1" || err != nil {
		t.Errorf("init.scope has %q, %v", b, err)
	}
	// A plain file keeps the last write at its start; the kernel would have them all.
	if b, err := os.ReadFile(filepath.Join(c.root, "cgroup.subtree_control")); !strings.HasPrefix(string(b), "+pids") || err != nil {
		t.Errorf("subtree_control has %q, %v", b, err)
	}
}

func TestModes(t *testing.T) {
	k := &kernelOf{}
	c := standIn(t, k)
	if _, _, err := c.up(""); err != nil || len(k.mounts) > 0 {
		t.Errorf("none: %v, %v", k.mounts, err)
	}
	if _, _, err := c.up("v3"); err == nil {
		t.Error("an unknown mode")
	}
	k.refuses = map[string]error{"nsdelegate,memory_recursiveprot": unix.EPERM}
	if _, _, err := c.up(V2); !errors.Is(err, unix.EPERM) {
		t.Errorf("refused: %v", err)
	}
}

func FuzzParseControllers(f *testing.F) {
	f.Add(procCgroups)
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range parseControllers(text) {
			if name == "" || strings.ContainsAny(name, " \t\n") || !strings.Contains(text, name) {
				t.Errorf("%q of %q", name, text)
			}
		}
	})
}

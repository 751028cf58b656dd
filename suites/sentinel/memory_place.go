package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// lacking is what a kernel or hierarchy does not tell, as an answer.
func lacking(lacks []string, file string) error {
	if slices.Contains(lacks, file) {
		return kernel.Unsupported("%s: this kernel or hierarchy does not tell", file)
	}
	return nil
}

// Sizes of the tmpfs baits.
const (
	tmpfsBytes  = 1 << 20
	tmpfsInodes = 64
	tmpfsBound  = 3 << 20 // bytes that the attack writes at most
	tmpfsFiles  = 160     // files that it makes at most
)

// TmpfsFull measures what the attacker has put into each tmpfs: the bytes of its files, and how
// many they are, through the container's root directory.
func TmpfsFull(s *Stage) (*Watch, error) {
	paths := []string{"/dev/shm", "/tmp"}
	w := &Watch{Target: attack.Target{Paths: paths, Name: s.Name, Bytes: tmpfsBound, Count: tmpfsFiles}}
	if s.Rung.Covers(spec.Namespaces) {
		w.Edits = spec.Edits{TmpfsOf(tmpfsBytes, tmpfsInodes)}
	}
	var seen []string
	var parts []part
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		for _, path := range paths {
			dir := filepath.Join(fmt.Sprintf("/proc/%d/root", a.PID), path, s.Name)
			if s.Rung == spec.Bare {
				dir = filepath.Join(s.Rootfs, path, s.Name)
			}
			files, bytes, err := usage(dir)
			if err != nil {
				return err
			}
			seen = append(seen, fmt.Sprintf("%s has %d files and %d bytes", path, files, bytes))
			parts = append(parts, part{"the size of " + path, bytes > tmpfsBytes}, part{"the inodes of " + path, files > tmpfsInodes})
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{Evidence: strings.Join(seen, "; ")}.of(parts...)
		if f.Breached {
			return f, nil
		}
		return f, MustTry(r, "write to /dev/shm", "write to /tmp", "create files in /dev/shm", "create files in /tmp")
	}
	return w, nil
}

// TmpfsOf gives /dev/shm and /tmp a size in bytes and a number of inodes.
func TmpfsOf(bytes, inodes int) spec.Edit {
	return spec.Change(fmt.Sprintf("tmpfs of %d bytes and %d inodes", bytes, inodes), func(sp *specs.Spec) {
		for _, path := range []string{"/dev/shm", "/tmp"} {
			spec.WithMount(specs.Mount{
				Destination: path, Type: "tmpfs", Source: "tmpfs",
				Options: []string{"nosuid", "nodev", "mode=1777", fmt.Sprintf("size=%d", bytes), fmt.Sprintf("nr_inodes=%d", inodes)},
			}).Apply(sp)
		}
	})
}

// usage counts the files in a directory and their bytes.
func usage(dir string) (files int, bytes int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return 0, 0, fmt.Errorf("measure %s: %w", dir, err)
		}
		files++
		bytes += info.Size()
	}
	return files, bytes, nil
}

// hugePages is how many the bait allows; the attack wants twice as many.
const hugePages = 1

// HugePagesBounded reads how many bytes of huge pages the attacker's cgroup uses.
func HugePagesBounded(s *Stage) (*Watch, error) {
	const size, bytes = "2MB", 2 << 20
	var g grown
	w := &Watch{Target: attack.Target{Count: 2 * hugePages, Bytes: bytes}, Hold: g.hold}
	w.Edits = s.limited(func(sp *specs.Spec) {
		sp.Linux.Resources.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: size, Limit: hugePages * bytes}}
	})
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if err := lacking(g.stat.Lacks, "hugetlb"); err != nil {
			return Finding{}, err
		}
		f := Finding{
			Breached: g.stat.Hugetlb[size] > hugePages*bytes,
			Evidence: fmt.Sprintf("with a limit of %d bytes the cgroup used %d; hugetlb events max is %d", hugePages*bytes, g.stat.Hugetlb[size], g.events.Hugetlb[size]),
		}
		if !f.Breached && g.stat.Hugetlb[size] == 0 {
			return f, errors.New("the attacker did not get to a huge page")
		}
		return f, MustTry(r, "touch")
	}
	return w, nil
}

// ourNodes are those with memory that a process may use, by its status. A host's cpuset may leave it some of them.
func ourNodes(status string) ([]int, error) {
	nodes, err := kernel.ParseList(StatusField(status, "Mems_allowed_list:"))
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	if len(nodes) < 2 {
		return nil, kernel.Unsupported("numa(7): this process may use memory of the nodes %v alone", nodes)
	}
	return nodes, nil
}

// NodesKept reads on which nodes the attacker's memory lies.
func NodesKept(s *Stage) (*Watch, error) {
	status, err := statusOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	nodes, err := ourNodes(status)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, n := range nodes[1:] {
		others = append(others, strconv.Itoa(n))
	}
	w := &Watch{Target: attack.Target{Bytes: 1 << 20, Extra: strings.Join(others, " ")}}
	w.Edits = s.limited(func(sp *specs.Spec) { sp.Linux.Resources.CPU.Mems = strconv.Itoa(nodes[0]) })
	var found []string
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/numa_maps", a.PID))
		for _, n := range others {
			if strings.Contains(string(maps), " N"+n+"=") && anonymousOn(string(maps), n) {
				found = append(found, n)
			}
		}
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		return Finding{
			Breached: len(found) > 0,
			Evidence: fmt.Sprintf("with memory on node %d alone, memory was on nodes %v", nodes[0], found),
		}, MustTry(r, "mbind", "set_mempolicy")
	}
	return w, nil
}

// anonymousOn reports whether memory that is bound to a node lies there: what the program shares
// with others may lie anywhere.
func anonymousOn(maps, node string) bool {
	for line := range strings.Lines(maps) {
		if strings.Contains(line, " bind:"+node+" ") && strings.Contains(line, " N"+node+"=") {
			return true
		}
	}
	return false
}

const (
	lockLimit = 64 << 10
	lockBound = 2 * lockLimit // in one call: all of it or nothing
)

// LockedBounded reads how much memory the attacker has locked.
func LockedBounded(*Stage) (*Watch, error) {
	w := &Watch{Target: attack.Target{Bytes: lockBound}}
	most := map[string]int{} // bytes, by the call
	w.Hold = func(_ context.Context, call string, a *Subject) error {
		v, err := a.status("VmLck:")
		if err != nil {
			return err
		}
		kib, err := strconv.Atoi(strings.TrimSuffix(v, " kB"))
		most[call] = kib << 10
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{Evidence: fmt.Sprintf("with a limit of %d bytes it locked %d by mlock, %d by mlock2, %d by mmap", lockLimit, most["mlock"], most["mlock2"], most["mmap"])}
		// A segment's pages belong to nobody's VmLck; the size that was asked for is beyond the limit.
		segment := succeeded(r, "shmctl SHM_LOCK")
		if segment {
			f.Evidence += fmt.Sprintf("; a segment of %d bytes is locked", lockBound)
		}
		f = f.of(part{"mlock", most["mlock"] > lockLimit}, part{"mlock2", most["mlock2"] > lockLimit}, part{"mmap", most["mmap"] > lockLimit},
			part{"a segment", segment}, part{"mlockall", succeeded(r, "mlockall MCL_FUTURE") && succeeded(r, "mmap after mlockall")})
		if t, ok := answer(r, "mmap"); !ok || t != 0 {
			return f, fmt.Errorf("the attacker did not get its memory: %w", t)
		}
		return f, MustTry(r, "mlock", "mlockall", "shmctl")
	}
	return w, nil
}

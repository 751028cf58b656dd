package interfere

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
)

// newHost prepares a host with the core and looks afterwards whether anything was left.
func newHost(t *testing.T) *Host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: neighbours are containers")
	}
	h, err := NewHost(t.Context(), lease.Default, "core")
	if err != nil && strings.Contains(err.Error(), "build it with CGO_ENABLED=0") {
		t.Skip("needs a static test program, which one with the race detector is not")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		name, disk := h.place.Name, h.disk
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
			t.Errorf("a child was left: %d, %v", pid, err)
		}
		if groups, err := cgroup.FindLeft(name); err != nil || len(groups) > 0 {
			t.Errorf("%v, %v", groups, err)
		}
		for _, path := range []string{filepath.Join(lease.Default, name), filepath.Join("/dev/shm", name), disk} {
			if _, err := os.Stat(path); path != "" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is there: %v", path, err)
			}
		}
	})
	return h
}

func settings(t *testing.T, names ...string) []Setting {
	t.Helper()
	var all []Setting
	for _, name := range names {
		rung, text, with := strings.Cut(name, "+")
		s := Setting{Rung: spec.Rung(rung)}
		if with {
			var err error
			if s.Means, err = ParseMeans(text); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, s)
	}
	return all
}

// measured runs one pair for a moment.
func measured(t *testing.T, h *Host, victim, antagonist string, names ...string) []record.Interference {
	t.Helper()
	pairs, err := Pairs([]string{victim}, []string{antagonist})
	if err != nil {
		t.Fatal(err)
	}
	all := settings(t, names...)
	done, err := h.Run(t.Context(), "r1", Plan{
		Pairs: pairs, Settings: func(Pair) []Setting { return all }, Blocks: LeastBlocks, Window: 20 * time.Millisecond, Seed: 7,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(done) != len(names) {
		t.Fatalf("%d records of %d settings", len(done), len(names))
	}
	return done
}

// TestOneCell measures a CPU antagonist for some hundred milliseconds. It checks what is there, not how
// large it is.
func TestOneCell(t *testing.T) {
	h := newHost(t)
	for _, r := range measured(t, h, "request", "cpu", "namespaces", "limits") {
		if r.Unsupported != "" || len(r.Blocks) != LeastBlocks || r.Run != "r1" || r.Victim != "request" || r.Antagonist != "cpu" || r.Resource != "cpu" ||
			r.Runtime != "core" || r.Window != 0.02 || r.Seed != seedOf(7, "cpu with request") || r.FenceLimits == "" {
			t.Errorf("%+v", r)
		}
		for i, b := range r.Blocks {
			// Two turns with 2000 operations a second each, however long they took.
			if a, b := b.Alone.Latencies.Count(), b.Beside.Latencies.Count(); a != 80 || b != 80 {
				t.Errorf("block %d of %s: %d and %d latencies, want 80", i, r.Setting, a, b)
			}
		}
		if r.Work.Operations == 0 || r.AntagonistCauses.CPU <= 0 || r.AloneCauses.CPU <= 0 || r.AloneOthers.Of <= 0 {
			t.Errorf("%s: work %+v, antagonist %+v, alone %+v, others %+v", r.Setting, r.Work, r.AntagonistCauses, r.AloneCauses, r.AloneOthers)
		}
		if limited := r.Setting == "limits"; r.Limited != limited || (r.AntagonistLimits == "") == limited || (r.VictimLimits == "") == limited {
			t.Errorf("%s: limited %v, victim %q, antagonist %q", r.Setting, r.Limited, r.VictimLimits, r.AntagonistLimits)
		}
	}
}

// TestCausesAreSeen: where probes can look, what they see is on the side that it happens to.
func TestCausesAreSeen(t *testing.T) {
	h := newHost(t)
	r := measured(t, h, "request", "cpu", "limits+quota")[0]
	if !slices.ContainsFunc(r.Unwatched, func(l string) bool { return strings.HasPrefix(l, "attach probe throttle") }) && r.AntagonistCauses.Throttled.Count == 0 {
		t.Errorf("an antagonist with a tenth of a CPU was not throttled: %+v", r.AntagonistCauses)
	}
	r = measured(t, h, "request", "fork", "limits+pids")[0]
	if !slices.ContainsFunc(r.Unwatched, func(l string) bool { return strings.HasPrefix(l, "attach probe pids") }) {
		if r.AntagonistCauses.RefusedForks == 0 || r.BesideCauses.RefusedForks != 0 {
			t.Errorf("refused forks: antagonist %+v, victim %+v", r.AntagonistCauses, r.BesideCauses)
		}
	}
	if r.Work.Refused == 0 || r.AntagonistLimits == "" || !strings.Contains(r.AntagonistLimits, "tasks 64") {
		t.Errorf("work %+v, limits %q", r.Work, r.AntagonistLimits)
	}
}

// TestTheLinkCarries: the victim's bytes come back, and both antagonists move some, also over a link with a
// token bucket of its own and at the rung with a user namespace.
func TestTheLinkCarries(t *testing.T) {
	h := newHost(t)
	for _, antagonist := range []string{"send", "receive"} {
		for _, r := range measured(t, h, "echo", antagonist, "namespaces", "hardened", "limits+bandwidth") {
			if r.Unsupported != "" {
				t.Errorf("%s at %s: %s", antagonist, r.Setting, r.Unsupported)
				continue
			}
			if r.Work.Operations < datagrams || r.Blocks[0].Alone.Latencies.Count() != 40 {
				t.Errorf("%s at %s moved %d bytes; %d latencies", antagonist, r.Setting, r.Work.Operations, r.Blocks[0].Alone.Latencies.Count())
			}
		}
	}
}

const datagrams = 100 * 1400 // bytes

// TestWhatCannotBeHadIsNamed: the other settings are measured all the same.
func TestWhatCannotBeHadIsNamed(t *testing.T) {
	h := newHost(t)
	disk := h.disk
	h.disk = ""
	all := measured(t, h, "request", "inodes", "namespaces")
	h.disk = disk
	if !strings.Contains(all[0].Unsupported, "is on a disk: set TMPDIR") || len(all[0].Blocks) > 0 {
		t.Errorf("%+v", all[0])
	}
	all = measured(t, h, "request", "cpu", "chroot", "limits+quota", "limits+bandwidth")
	if want := "a neighbour at chroot: its namespaces are the host's"; !strings.Contains(all[0].Unsupported, want) {
		t.Errorf("%q, want %q", all[0].Unsupported, want)
	}
	if all[1].Unsupported != "" || len(all[1].Blocks) != LeastBlocks {
		t.Errorf("%+v", all[1])
	}
	if want := "a limit of bandwidth is none for cpu"; !strings.Contains(all[2].Unsupported, want) {
		t.Errorf("%q, want %q", all[2].Unsupported, want)
	}
}

// TestTheFenceIsReadBack: an antagonist is not started in one that does not hold.
func TestTheFenceIsReadBack(t *testing.T) {
	h := newHost(t)
	if err := h.fence.Set(cgroup.Limits{MemoryMax: fenceMemory, PidsMax: 2 * fenceTasks, CPUShares: fenceShares, Devices: []cgroup.DeviceRule{{Allow: true}}}); err != nil {
		t.Fatal(err)
	}
	pairs, err := Pairs([]string{"request"}, []string{"cpu"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := h.Run(t.Context(), "r1", Plan{Pairs: pairs, Settings: func(Pair) []Setting { return settings(t, "namespaces") }, Blocks: LeastBlocks, Window: 20 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "the fence does not hold") || len(all) > 0 {
		t.Errorf("%d records, %v", len(all), err)
	}
}

// TestAFailureIsNotTakenForAResult: a pair whose antagonist fails has no record, and is named.
func TestAFailureIsNotTakenForAResult(t *testing.T) {
	h := newHost(t)
	pairs, err := Pairs([]string{"request"}, []string{"cpu", "inodes"})
	if err != nil {
		t.Fatal(err)
	}
	work := pairs[0].Antagonist.work
	pairs[0].Antagonist.work = func(cpus int) load.Work { w := work(cpus); w.Count = 0; return w }
	all, err := h.Run(t.Context(), "r1", Plan{Pairs: pairs, Settings: func(Pair) []Setting { return settings(t, "namespaces") }, Blocks: LeastBlocks, Window: 20 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "cpu with request: ") || !strings.Contains(err.Error(), "a count of 0") {
		t.Errorf("got %v", err)
	}
	if len(all) != 1 || all[0].Antagonist != "inodes" {
		t.Errorf("%d records", len(all))
	}
}

func TestNewHostNeedsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("is root")
	}
	if _, err := NewHost(t.Context(), t.TempDir(), "core"); err == nil || !strings.Contains(err.Error(), "needs root") {
		t.Errorf("got %v", err)
	}
}

// TestRuntimesThatMakeNoNeighbours are refused before anything runs, or before it is asked to work.
func TestRuntimesThatMakeNoNeighbours(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: neighbours are containers")
	}
	for name, want := range map[string]string{
		"chroot": "chroot makes no neighbours: its containers have the host's pid namespace", "unshare": "does not tell the process", "bwrap": "does not tell the process",
	} {
		h, err := NewHost(t.Context(), lease.Default, name)
		if errors.Is(err, driver.ErrAbsent) {
			t.Logf("%s: %v", name, err)
			continue
		}
		if err == nil {
			if r := measured(t, h, "request", "cpu", "namespaces")[0]; strings.Contains(r.Unsupported, want) {
				err = kernel.Unsupported("%s", r.Unsupported)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
		if !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestAContainerOutsideOfTheFence is not used.
func TestAContainerOutsideOfTheFence(t *testing.T) {
	h := newHost(t)
	for _, pid := range []int{0, os.Getpid()} {
		if g, err := h.within(pid, h.fence); !errors.Is(err, kernel.ErrNotSupported) || g != nil {
			t.Errorf("process %d: %v", pid, err)
		}
	}
}

func TestARuntimeThatIsNotThere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: neighbours are containers")
	}
	if _, err := NewHost(t.Context(), lease.Default, "oci:/nonexistent/youki"); err == nil || !strings.Contains(err.Error(), "/nonexistent/youki") || errors.Is(err, kernel.ErrNotSupported) {
		t.Errorf("got %v", err)
	}
}

// TestTheHostsNetworkIsLeftAlone: no link is made for a container that is in it, or whose process nobody
// tells.
func TestTheHostsNetworkIsLeftAlone(t *testing.T) {
	for _, pid := range []int{0, -1, os.Getpid()} {
		fd, err := openContainer(pid)
		if !errors.Is(err, kernel.ErrNotSupported) || fd >= 0 {
			t.Errorf("process %d: descriptor %d, %v", pid, fd, err)
		}
	}
	h := newHost(t)
	before, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.link(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{0, os.Getpid()} {
		if err := h.wire.connectNear(pid, false); !errors.Is(err, kernel.ErrNotSupported) {
			t.Errorf("process %d: %v", pid, err)
		}
		if err := h.wire.connectNear(pid, true); !errors.Is(err, kernel.ErrNotSupported) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	after, err := net.Interfaces()
	if err != nil || len(after) != len(before) {
		t.Errorf("%v, and before %v; %v", after, before, err)
	}
}

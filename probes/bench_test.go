package probes

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

// pingPong hands a byte to and fro between two threads on one CPU: each trip is two context
// switches and two wakeups.
type pingPong struct {
	there, back [2]int
	cpu         unix.CPUSet
}

func newPingPong(b *testing.B) *pingPong {
	b.Helper()
	p := &pingPong{}
	for _, ends := range []*[2]int{&p.there, &p.back} {
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			b.Fatal(err)
		}
	}
	p.cpu.Set(firstCPU(b))
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its affinity
		ready <- unix.SchedSetaffinity(0, &p.cpu)
		byte1 := make([]byte, 1)
		for {
			if n, err := unix.Read(p.there[0], byte1); n != 1 || err != nil {
				return
			}
			_, _ = unix.Write(p.back[1], byte1)
		}
	}()
	if err := <-ready; err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = unix.Close(p.there[1]) // the other thread reads its end
		for _, fd := range []int{p.there[0], p.back[0], p.back[1]} {
			_ = unix.Close(fd)
		}
	})
	return p
}

// trips returns the time of one context switch, over n trips.
func (p *pingPong) trips(n int) time.Duration {
	done := make(chan time.Duration)
	go func() {
		runtime.LockOSThread()
		_ = unix.SchedSetaffinity(0, &p.cpu) // it went well for the other thread
		byte1 := make([]byte, 1)
		start := time.Now()
		for range n {
			_, _ = unix.Write(p.there[1], byte1)
			_, _ = unix.Read(p.back[0], byte1)
		}
		done <- time.Since(start) / time.Duration(2*n)
	}()
	return <-done
}

// interleaved measures do without and with a probe that watches another cgroup, in turns, and
// reports the medians, what the probe adds, and the ratio. Without rungs it has the first that can be had.
func interleaved(b *testing.B, name, unit string, rungs []Rung, do func() time.Duration) {
	g := newGroup(b, "other", cgroup.Limits{Controllers: []string{"cpu", "memory", "pids"}})
	_, controller, err := Describe(name)
	if err != nil {
		b.Fatal(err)
	}
	o := Options{Root: 1 << 22, Rungs: rungs}
	if controller != "" {
		o.Cgroups = []string{g.Path(controller)}
	}
	var without, with []time.Duration
	measure := func(attached bool) {
		if !attached {
			without = append(without, do())
			return
		}
		p, err := Open(name, o)
		if len(rungs) > 0 && errors.Is(err, kernel.ErrNotSupported) {
			b.Skip(err)
		}
		if err != nil {
			b.Fatal(err)
		}
		with = append(with, do())
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for _, attached := range []bool{false, true, true, false} {
			measure(attached)
		}
	}
	slices.Sort(without)
	slices.Sort(with)
	base, probed := without[len(without)/2], with[len(with)/2]
	b.ReportMetric(float64(base.Nanoseconds()), "ns/"+unit+"-without")
	b.ReportMetric(float64((probed - base).Nanoseconds()), "ns/"+unit+"-added")
	b.ReportMetric(float64(probed)/float64(base), "x")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSwitch is what a probe costs each context switch of the host, its filter missing. What
// the programs themselves take is counted by the kernel, which no other load disturbs; the
// counting itself is in it.
func BenchmarkSwitch(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			const n = 20000
			p := newPingPong(b)
			interleaved(b, name, "switch", nil, func() time.Duration { return p.trips(n) })
			counting, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
			if err != nil {
				b.Fatal(err)
			}
			defer counting.Close() //nolint:errcheck // it ends with the process
			open(b, name, newGroup(b, "counted", cgroup.Limits{Controllers: []string{"cpu", "memory", "pids"}}), Options{Root: 1 << 22})
			_, before, _ := ours(b, 0)
			p.trips(n)
			_, after, _ := ours(b, 0)
			b.ReportMetric(float64((after-before).Nanoseconds())/(2*n), "ns/switch-in-programs")
		})
	}
}

// BenchmarkStart is what a probe costs the start and end of a program. Another process starts it:
// what a fork takes depends on the size of its caller, and ours has just read the kernel's BTF.
func BenchmarkStart(b *testing.B) {
	for _, name := range Names() {
		for _, rung := range []Rung{FEntry, TPBTF} {
			b.Run(name+"/"+string(rung), func(b *testing.B) {
				next := newStarter(b)
				interleaved(b, name, "start", []Rung{rung}, func() time.Duration { return next() })
			})
		}
	}
}

// newStarter returns a function that has another process start programs, and returns the time of
// one.
func newStarter(b *testing.B) func() time.Duration {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := exec.Command(exe, "300")
	c.Env = append(os.Environ(), helperEnv+"=start")
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			b.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	return func() time.Duration {
		if _, err := fmt.Fprintln(in); err != nil {
			b.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		d, err := time.ParseDuration(strings.TrimSpace(line))
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
}

// BenchmarkMemory is what a probe's maps and programs occupy in the kernel, as it accounts them.
func BenchmarkMemory(b *testing.B) {
	needRoot(b)
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			var bytes uint64
			for b.Loop() {
				p, err := Open(name, Options{Root: os.Getpid()})
				if err != nil {
					b.Fatal(err)
				}
				bytes = memlock(b)
				if err := p.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(bytes)/(1<<20), "MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// memlock sums up what this process's BPF objects occupy.
func memlock(t testing.TB) uint64 {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue // closed meanwhile
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if value, ok := strings.CutPrefix(lines.Text(), "memlock:"); ok {
				n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
				if err != nil {
					t.Fatal(fmt.Errorf("%s: %w", file, err))
				}
				sum += n
			}
		}
		_ = f.Close()
	}
	return sum
}

func TestMemoryOfAProbe(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			p := open(t, name, nil, Options{Root: os.Getpid()})
			if s := p.session; s != nil && (s.types != nil || s.layout != nil) {
				t.Errorf("%s keeps the kernel's BTF", name)
			}
			if n := memlock(t); n == 0 || n > 8<<20 {
				t.Errorf("%s occupies %d bytes", name, n)
			}
		})
	}
}

package probes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

// touchers are the threads that touch memory at once.
const touchers = 16

// helperEnv tells the test binary, started again, what to do in a group.
const helperEnv = "CELLWALL_PROBES_HELPER"

func TestMain(m *testing.M) {
	if what := os.Getenv(helperEnv); what != "" {
		if err := help(what, os.Args[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func help(what string, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	switch what {
	case "spin": // n threads, for as long as the second argument says
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		end := time.Now().Add(d)
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				for time.Now().Before(end) { //nolint:revive // spinning is what it is for
				}
			})
		}
		all.Wait()
		return nil
	case "sleep": // as long as the second argument says
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		time.Sleep(d) //nolint:forbidigo // what is measured, not a wait for something
		return nil
	case "touch": // n bytes, in many threads: the kernel marks threads for the OOM killer
		b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return err
		}
		var all sync.WaitGroup
		for part := range slices.Chunk(b, n/touchers) {
			all.Go(func() {
				for i := 0; i < len(part); i += os.Getpagesize() {
					part[i] = 1
				}
			})
		}
		all.Wait()
		return nil
	case "fork": // until n have been refused
		refused := 0
		for tries := 0; refused < n; tries++ {
			c := exec.Command("/bin/sleep", "1000")
			err := c.Start()
			switch {
			case errors.Is(err, unix.EAGAIN):
				refused++
			case err != nil:
				return err
			case tries > n+100:
				return errors.New("not refused")
			}
		}
		return nil
	case "open": // a probe on a cgroup as user n, and say how it is attached
		if err := syscall.Setuid(n); err != nil {
			return err
		}
		p, err := Open("throttle", Options{Cgroups: args[1:]})
		if err != nil {
			return err
		}
		fmt.Println("attached", p.Rung())
		for _, a := range p.Attempts() {
			fmt.Printf("%s: %v\n", a.Rung, a.Err)
		}
		return p.Close()
	case "hold": // a probe on a cgroup until standard input ends
		p, err := Open("throttle", Options{Cgroups: args[1:]})
		if err != nil {
			return err
		}
		fmt.Println("attached", p.Rung())
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		return p.Close()
	case "start": // n programs for each line of input, and say how long one took
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			begin := time.Now()
			for range n {
				if err := exec.Command("/bin/true").Run(); err != nil {
					return err
				}
			}
			fmt.Println(time.Since(begin) / time.Duration(n))
		}
		return nil
	case "clone": // n tasks, and then so many more that are refused
		more, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		for range n {
			if exec.Command("/bin/sleep", "1000").Start() != nil {
				break
			}
		}
		for range more {
			// Without CLONE_VM or a stack it would be a fork, which goes wrong in Go; it must be refused.
			if _, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0); errno != unix.EAGAIN {
				os.Exit(1)
			}
		}
		return nil
	}
	return fmt.Errorf("unknown helper %q", what)
}

// needRoot skips where no program can be loaded.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("loads BPF programs: needs root")
	}
}

// newGroup makes a group for a test and removes it, with what is in it, at the end.
func newGroup(t testing.TB, name string, l cgroup.Limits) *cgroup.Group {
	t.Helper()
	tree, err := cgroup.Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	g, err := tree.Create(fmt.Sprintf("%sprobes-%d-%s", cgroup.Prefix, os.Getpid(), name), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Kill(context.WithoutCancel(t.Context())), g.Close()); err != nil {
			t.Error(err)
		}
	})
	return g
}

// inGroup is a helper that begins in a group.
func inGroup(t testing.TB, g *cgroup.Group, what string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := ""
	for _, h := range g.Hierarchies() {
		script += "echo 0 > '" + h.Path + "/cgroup.procs' && "
	}
	c := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", script + `exec "$0" "$@"`, exe}, args...)...)
	c.Env = append(os.Environ(), helperEnv+"="+what)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return c
}

// programs opens a probe, and skips a test of what only programs tell where this kernel takes none of the probe's.
func programs(t testing.TB, name string, g *cgroup.Group, o Options) *Probe {
	t.Helper()
	p := open(t, name, g, o)
	if p.Rung() == Files {
		t.Skipf("this kernel takes no program of %s: %v", name, p.Attempts())
	}
	return p
}

// open opens a probe on a group, and closes it at the end.
func open(t testing.TB, name string, g *cgroup.Group, o Options) *Probe {
	t.Helper()
	needRoot(t)
	if g != nil {
		_, controller, err := Describe(name)
		if err != nil {
			t.Fatal(err)
		}
		if controller != "" {
			o.Cgroups = append(o.Cgroups, g.Path(controller))
		}
	}
	p, err := Open(name, o)
	if (len(o.Rungs) > 0 || g == nil) && errors.Is(err, kernel.ErrNotSupported) { // the last rung, files, needs a group
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// gather runs do and returns the events that the probe saw meanwhile. None may be lost.
func gather(t testing.TB, p *Probe, do func()) []Event {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var events []Event
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() {
		for e, err := range p.Events(ctx) {
			if err != nil {
				failed = err
				return
			}
			events = append(events, e)
		}
	})
	do()
	stop()
	reading.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
	lost, err := p.Lost()
	if err != nil || lost != (Lost{}) {
		t.Fatalf("lost %+v, %v", lost, err)
	}
	return events
}

// onRungs runs a test on each of the rungs that this kernel has.
func onRungs(t *testing.T, rungs []Rung, test func(*testing.T, Options)) {
	t.Helper()
	for _, rung := range rungs {
		t.Run(string(rung), func(t *testing.T) { test(t, Options{Rungs: []Rung{rung}}) })
	}
}

// contextDone is a context that is done: what is there is read, and no more.
func contextDone(t testing.TB) (context.Context, func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	return ctx, stop
}

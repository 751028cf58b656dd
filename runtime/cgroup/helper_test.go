package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// helperEnv tells the test binary, started again, what to do in a group.
const helperEnv = "CELLWALL_CGROUP_HELPER"

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
	switch what {
	case "wait": // until standard input ends
		fmt.Println("ready")
		_, err := bufio.NewReader(os.Stdin).ReadByte()
		if err != nil && err.Error() != "EOF" {
			return err
		}
		return nil
	case "touch": // so many bytes
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return err
		}
		for i := 0; i < n; i += os.Getpagesize() {
			b[i] = 1
		}
		fmt.Println("touched")
		return nil
	case "fork": // until it is refused
		for n := 0; ; n++ {
			c := exec.Command("/bin/sleep", "1000")
			if err := c.Start(); err != nil {
				fmt.Println("refused", n, errors.Is(err, unix.EAGAIN))
				return help("wait", nil)
			}
			if n > 200 {
				return errors.New("not refused")
			}
		}
	case "bomb": // forever: its children do the same. Only where pids.max has been read back.
		fmt.Println("ready")
		for {
			c := exec.Command("/proc/self/exe")
			if c.Start() == nil {
				go c.Wait()
			}
		}
	case "spin": // until it has used so much CPU time
		ms, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		for {
			var u unix.Rusage
			if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
				return err
			}
			if (u.Utime.Nano()+u.Stime.Nano())/1e6 >= int64(ms) {
				return nil
			}
		}
	case "open": // each path for reading and writing, and print the errors
		for _, p := range args {
			fd, err := unix.Open(p, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			fmt.Println(p, err)
		}
		return nil
	case "nested":
		return nested()
	}
	return fmt.Errorf("unknown helper %q", what)
}

// child is a helper that runs in a group.
type child struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// start starts a helper in a group the way a launcher does, but through a shell: a v1 write of
// "0" moves one thread, and Go has several.
func start(t *testing.T, g *Group, what string, args ...string) *child {
	t.Helper()
	j, err := g.Join()
	if err != nil {
		t.Fatal(err)
	}
	script := ""
	c := &child{cmd: exec.Command("/bin/sh")}
	for i, fd := range j.Tasks {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(copied), "tasks")
		defer f.Close()
		c.cmd.ExtraFiles = append(c.cmd.ExtraFiles, f)
		script += fmt.Sprintf("echo 0 >&%d && exec %d>&- && ", i+3, i+3)
	}
	script += `exec "$0" "$@"`
	c.cmd.Args = append([]string{"/bin/sh", "-c", script, "/proc/self/exe"}, args...)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Args[3] = exe
	c.cmd.Env = append(os.Environ(), helperEnv+"="+what)
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: j.Into >= 0, CgroupFD: j.Into, Pdeathsig: unix.SIGKILL}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	})
	return c
}

func (c *child) line(t *testing.T) string {
	t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("read from helper: %v (got %q)", err, s)
	}
	return strings.TrimSpace(s)
}

// needRoot skips where the kernel would refuse to make groups.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes cgroups: needs root")
	}
}

// newTree finds the host's tree and, at the end, checks that nothing is left of the test.
func newTree(t testing.TB) *Tree {
	t.Helper()
	needRoot(t)
	tree, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
		left, err := FindLeft(testName(t, ""))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return tree
}

// testName gives each test, in each run, groups of its own.
func testName(t testing.TB, suffix string) string {
	return fmt.Sprintf("%stest-%d-%s%s", Prefix, os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"), suffix)
}

// newGroup makes a group for a test and removes it, with what is in it, at the end.
func newGroup(t testing.TB, tree *Tree, l Limits) *Group {
	t.Helper()
	g, err := tree.Create(testName(t, ""), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeGroup(t, g) })
	return g
}

func closeGroup(t testing.TB, g *Group) {
	t.Helper()
	// The test's own context has ended when a cleanup runs.
	if err := g.kill(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

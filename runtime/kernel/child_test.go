package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestChildAnswers(t *testing.T) {
	const nowhere = "/proc/self/no such file"
	for _, tt := range []struct {
		name  string
		fork  bool
		calls []call
		want  unix.Errno // of the answer
		cause Cause
		text  string
	}{
		{name: "nothing to do"},
		{name: "all succeed", calls: []call{closeAll(), ask("getpid", unix.SYS_GETPID)}},
		{name: "question fails", calls: []call{ask("open", unix.SYS_OPENAT, unix.AT_FDCWD, nowhere, 0)}, want: unix.ENOENT},
		{name: "fork: question fails", fork: true, calls: []call{ask("open", unix.SYS_OPENAT, unix.AT_FDCWD, nowhere, 0)}, want: unix.ENOENT},
		{name: "no such call", calls: []call{ask("none", 9999)}, want: unix.ENOSYS, cause: NotBuilt},
		{
			name: "preparation fails", text: "cannot ask: open: no such file",
			calls: []call{do("open", unix.SYS_OPENAT, unix.AT_FDCWD, nowhere, 0), ask("none", 9999)},
		},
		{
			name: "dies", fork: true, text: "getppid: killed by bad system call",
			calls: []call{do("undumpable", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0), noNewPrivs(), killer(), ask("getppid", unix.SYS_GETPPID)},
		},
		{
			name: "exits early", text: "ended before exit",
			calls: []call{do("exit", unix.SYS_EXIT_GROUP, 0)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := run(0, 0, tt.fork, tt.calls...)
			if tt.want == 0 && tt.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if tt.want != 0 && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if tt.text != "" {
				var errno unix.Errno
				if err == nil || !strings.Contains(err.Error(), tt.text) || errors.As(err, &errno) {
					t.Errorf("got %v, want %q and no errno", err, tt.text)
				}
				if refused(err, "") != err { //nolint:errorlint // it is to be the same one
					t.Errorf("%v became an answer", err)
				}
			}
			if got := CauseOf(refused(err, "")); got != tt.cause {
				t.Errorf("cause %q, want %q", got, tt.cause)
			}
		})
	}
}

// killer is a filter that kills who asks for its parent.
func killer() call {
	return do("seccomp", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, filter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_GETPPID, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	})
}

func TestChildIsInItsNamespaces(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := UserNamespace.Check(); err != nil {
		t.Skip(err)
	}
	c, err := start(unix.CLONE_NEWUSER|unix.CLONE_NEWPID|unix.CLONE_NEWUTS, 0, false, append(append([]call{closeAll()}, mapRoot()...),
		ask("getpid", unix.SYS_GETPID), ask("getuid", unix.SYS_GETUID),
		ask("sethostname", unix.SYS_SETHOSTNAME, "cellwall-gate", 13))...)
	if err != nil {
		t.Fatal(err)
	}
	status, err := c.wait(0)
	if err := errors.Join(err, c.answer(status)); err != nil {
		t.Error(err)
	}
	last := c.arena.steps - 1
	if pid, uid := c.arena.step(last-2).result, c.arena.step(last-1).result; pid != 1 || uid != 0 {
		t.Errorf("the child is pid %d, uid %d, want 1, 0", pid, uid)
	}
	if name, err := os.Hostname(); err != nil || name == "cellwall-gate" {
		t.Errorf("our own hostname is %q (%v)", name, err)
	}
	if err := c.close(true); err != nil {
		t.Error(err)
	}
}

func TestChildStopsAtTheFirstError(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := start(0, 0, false, ask("none", 9999), ask("getpid", unix.SYS_GETPID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.wait(0); err != nil {
		t.Error(err)
	}
	if failed, next := c.arena.step(1), c.arena.step(2); failed.ran != 1 || next.ran != 0 {
		t.Errorf("ran %d, then %d, want 1, 0", failed.ran, next.ran)
	}
	if err := c.close(true); err != nil {
		t.Error(err)
	}
}

// TestChildLeavesTheSignalMask looks at the thread that blocked all signals for the clone.
func TestChildLeavesTheSignalMask(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := inChild(0); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	blocked, err := capabilitySet(string(text), "SigBlk") // the same format
	if err != nil || blocked&(1<<(unix.SIGURG-1)) != 0 {
		t.Errorf("blocked signals are %x (%v), with SIGURG, by which Go preempts", blocked, err)
	}
}

func TestArenaRefusesWhatDoesNotFit(t *testing.T) {
	many := make([]call, maxSteps)
	for i := range many {
		many[i] = ask("getpid", unix.SYS_GETPID)
	}
	for name, calls := range map[string][]call{
		"steps":     many,
		"bytes":     {ask("write", unix.SYS_WRITE, 0, make([]byte, arenaSize))},
		"arguments": {ask("getpid", unix.SYS_GETPID, 1, 2, 3, 4, 5, 6, 7)},
		"type":      {ask("getpid", unix.SYS_GETPID, 1.5)},
	} {
		if err := inChild(0, calls...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// state is what gates must leave as it was.
func state(t *testing.T) map[string]string {
	t.Helper()
	s := make(map[string]string)
	for _, file := range []string{"mountinfo", "cgroup", "limits"} {
		text, err := os.ReadFile("/proc/self/" + file)
		if err != nil {
			t.Fatal(err)
		}
		s[file] = string(text)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		if target != "" && !strings.HasSuffix(target, "/fd") {
			s["descriptors"] += fd.Name() + " " + target + "\n"
		}
	}
	links, _ := filepath.Glob("/proc/self/task/*/ns/*")
	seen := make(map[string]bool)
	for _, link := range links {
		if id, err := os.Readlink(link); err == nil && !seen[id] {
			seen[id] = true
			s["namespaces "+filepath.Base(link)] += id
		}
	}
	children, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range children {
		text, _ := os.ReadFile(file)
		s["children"] += string(text)
	}
	masks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, file := range masks {
		text, _ := os.ReadFile(file)
		for _, field := range []string{"SigBlk", "NoNewPrivs", "Seccomp", "Uid", "CapEff"} {
			value, _ := statusField(string(text), field)
			if !seen[field+value] {
				seen[field+value] = true
				s[field] += value + "\n"
			}
		}
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	s["dumpable"] = string(rune('0' + dumpable))
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	s["arenas"] = strings.Repeat("x", strings.Count(string(maps), "/dev/zero"))
	return s
}

func TestGatesLeaveNothingBehind(t *testing.T) {
	ask := func() {
		for _, f := range Features() {
			_ = f.probe()
		}
		_ = IDMappedMounts(t.TempDir())
		_ = Lockdown()
	}
	first := state(t)
	ask() // opens what the Go runtime keeps: its poller
	before := state(t)
	for _, what := range []string{"dumpable", "SigBlk", "mountinfo", "CapEff", "Uid", "NoNewPrivs", "Seccomp"} {
		before[what] = first[what]
	}
	for range 2 {
		ask()
	}
	after := state(t)
	for what, was := range before {
		if after[what] != was {
			t.Errorf("%s was\n%s\nand is\n%s", what, was, after[what])
		}
	}
	for what := range after {
		if _, ok := before[what]; !ok {
			t.Errorf("new: %s %s", what, after[what])
		}
	}
}

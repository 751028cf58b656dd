package driver_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
)

const engineID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// fakePodman has podman's command line as far as the driver uses it. Its container is a chroot in control
// groups of podman's name for them, and it keeps all of it in the directory of --root.
const fakePodman = `#!/bin/sh
[ "$1" = --version ] && echo podman version 4.3.1 && exit
while :; do
	case $1 in
	--root=*) state=${1#--root=} ;;
	--*) ;;
	*) break ;;
	esac
	shift
done
verb=$1
shift
echo "$verb $*" >>CALLS
id=` + engineID + `
eachgroup() { for g in GROUPS; do "$@" "$g/libpod-$id"; done; }
enter() { echo $pid >"$1/cgroup.procs"; }
members() { cat "$1/cgroup.procs" 2>/dev/null; }
case $verb in
create)
	mkdir -p "$state"
	while [ "$1" != --rootfs ]; do
		case $1 in
		--name=*/*) echo "Error: names must match [a-zA-Z0-9]" >&2; exit 125 ;;
		--pidfile=*) echo "${1#--pidfile=}" >"$state/pidfile" ;;
		esac
		shift
	done
	echo "$2" >"$state/rootfs"
	shift 2
	printf '%s\n' "$@" >"$state/args"
	echo $id
	CREATE ;;
init)
	eachgroup mkdir
	mkfifo "$state/go" "$state/in" "$state/out" "$state/err"
	set -- "$(cat "$state/rootfs")" $(cat "$state/args")
	{
		sh -c 'read go <"$0/go" && exec chroot "$@" <"$0/in" >"$0/out" 2>"$0/err"' "$state" "$@" &
		pid=$!
		eachgroup enter
		echo $pid >"$state/pid.new" && mv "$state/pid.new" "$state/pid"
		wait $pid
		echo $? >"$state/code.new" && mv "$state/code.new" "$state/code"
	} </dev/null >/dev/null 2>&1 &
	while [ ! -e "$state/pid" ]; do :; done
	cat "$state/pid" >"$(cat "$state/pidfile")" ;;
container)
	status=initialized since=0001-01-01 code=0 pid=$(cat "$state/pid")
	[ ! -e "$state/began" ] || status=running since=2024-01-01
	[ ! -e "$state/code" ] || status=exited pid=0 code=$(cat "$state/code")
	echo '{"Status":"'$status'","Pid":'$pid',"ExitCode":'$code',"StartedAt":"'${since}T00:00:00Z'"}' ;;
start)
	program=$(head -n 1 "$state/args")
	[ -x "$(cat "$state/rootfs")$program" ] || { echo "Error: exec: \"$program\": no such file" >&2; exit 127; }
	exec 3<&0
	cat <&3 >"$state/in" & in=$!
	exec 3<&-
	cat "$state/out" & out=$!
	cat "$state/err" >&2 & err=$!
	echo go >"$state/go"
	until [ -e "$state/code" ] || grep -aqs "^$program" "/proc/$(cat "$state/pid")/cmdline"; do :; done
	: >"$state/began"
	wait $out $err
	while [ ! -e "$state/code" ]; do :; done
	kill $in
	exit $(cat "$state/code") ;;
kill)
	kill -${1#--signal=} "$(cat "$state/pid")" ;;
rm)
	RM
	for pid in $(eachgroup members | sort -u); do kill -KILL $pid; done
	while [ -n "$(eachgroup members)" ]; do :; done
	eachgroup rmdir ;;
esac
`

// anEngine is a stand for an engine, which answers as it is told to.
func anEngine(t *testing.T, program string, answers ...string) (s *stand, rt driver.Runtime, calls string) {
	t.Helper()
	s = newStand(t, program)
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	var groups []string
	for _, h := range s.parent.Hierarchies() {
		if !h.V2 || len(s.parent.Hierarchies()) == 1 { // beside v1 it is hidden
			groups = append(groups, h.Path)
		}
	}
	script := strings.NewReplacer(append(answers, "CALLS", calls, "GROUPS", strings.Join(groups, " "), "CREATE", ":", "RM", ":")...).Replace(fakePodman)
	path := filepath.Join(dir, "podman")
	check(t, os.WriteFile(path, []byte(script), 0o755))
	if labelled := s.find(t, "podman@fake="+path); labelled.Name() != "podman@fake" {
		t.Errorf("with a label it calls itself %s", labelled.Name())
	}
	return s, s.find(t, "podman="+path), calls
}

// eachEngine calls f with podman's fake, with the client of docker that is here and an engine of the test's, and with
// podman and docker themselves.
func eachEngine(t *testing.T, program string, f func(t *testing.T, s *stand, rt driver.Runtime)) {
	for _, name := range []string{"real podman", "real docker"} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, program)
			f(t, s, s.find(t, strings.TrimPrefix(name, "real ")))
			s.noEngine(t)
		})
	}
	t.Run("podman", func(t *testing.T) {
		s, rt, _ := anEngine(t, program)
		f(t, s, rt)
		s.noEngine(t)
	})
	t.Run("docker", func(t *testing.T) {
		s := newStand(t, program)
		newFakeDocker(t, s)
		f(t, s, s.find(t, "docker"))
		s.noEngine(t)
	})
}

// noEngine fails if an engine has left something in the trial's directory or cgroups.
func (s *stand) noEngine(t *testing.T) {
	t.Helper()
	s.clean(t)
	left, err := filepath.Glob(filepath.Join(s.bundle.Dir, "[pd]o[dc]*-*"))
	check(t, err)
	for _, h := range s.parent.Hierarchies() {
		more, err := filepath.Glob(filepath.Join(h.Path, "*", "cgroup.procs"))
		check(t, err)
		left = append(left, more...)
	}
	if len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// forgotten is the status of a process that another has waited for, where the kernel keeps none.
const forgotten = -1

func TestLifeOfAnEngine(t *testing.T) {
	eachEngine(t, "exit", func(t *testing.T, s *stand, rt driver.Runtime) {
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		if _, err := c.Wait(t.Context()); err == nil {
			t.Error("a container that was not started has ended")
		}
		if (c.Pid() > 1) != (rt.Name() == "podman") || c.State().Pid != c.Pid() || c.State().ID != s.bundle.ID {
			t.Errorf("created: pid %d, state %+v", c.Pid(), c.State())
		}
		check(t, c.Start(t.Context()))
		if err := c.Start(t.Context()); err == nil {
			t.Error("it could be started twice")
		}
		status, err := c.Wait(t.Context())
		if err != nil || status.Code != 7 && status.Code != forgotten {
			t.Errorf("ended: %+v, %v", status, err)
		}
		if err := c.Kill(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("kill of one that has ended: %v", err)
		}
		for range 2 { // it is idempotent
			check(t, c.Delete(t.Context()))
		}
	})
}

// TestKillOfAnEngine kills a container that reads its standard input.
func TestKillOfAnEngine(t *testing.T) {
	eachEngine(t, "wait", func(t *testing.T, s *stand, rt driver.Runtime) {
		s.holds(t)
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		group, err := cgroup.Open(c.Pid())
		check(t, err)
		if got := group.Path("pids"); filepath.Dir(got) != s.parent.Path("pids") || !regexp.MustCompile("^(libpod-)?[0-9a-f]{64}$").MatchString(filepath.Base(got)) {
			t.Errorf("it is in cgroup %s, want one below %s", got, s.parent.Path("pids"))
		}
		check(t, group.Close())
		check(t, c.Kill(unix.SIGKILL))
		if status, err := c.Wait(t.Context()); err != nil || !slices.Contains([]int{128 + int(unix.SIGKILL), forgotten}, status.Code) && status.Signal != unix.SIGKILL {
			t.Errorf("ended: %+v, %v", status, err)
		}
		check(t, c.Delete(t.Context()))
	})
}

// TestStreamsOfAnEngine: the program sees the end of its input, and Delete ends one that runs.
func TestStreamsOfAnEngine(t *testing.T) {
	eachEngine(t, "wait", func(t *testing.T, s *stand, rt driver.Runtime) {
		for _, ends := range []bool{true, false} {
			hold := s.holds(t)
			c, err := rt.Create(t.Context(), s.bundle)
			check(t, err)
			check(t, c.Start(t.Context()))
			check(t, s.bundle.Stdin.Close())
			if ends {
				check(t, hold.Close())
				if status, err := c.Wait(t.Context()); err != nil || status.Code != 0 && status.Code != forgotten {
					t.Errorf("ended: %+v, %v", status, err)
				}
			}
			check(t, c.Delete(t.Context()))
			if !ends {
				check(t, hold.Close())
			}
			s.noEngine(t)
		}
	})
}

// TestFailedEngine has the engine refuse to start: its own words come back, and reach the container's standard
// error too, but for podman's with crun, which looks for the program before.
func TestFailedEngine(t *testing.T) {
	eachEngine(t, "exit", func(t *testing.T, s *stand, rt driver.Runtime) {
		read, write, err := os.Pipe()
		check(t, err)
		defer read.Close()
		s.bundle.Stderr = write
		s.bundle.Spec.Process.Args[0] = "/cellwall-none"
		c, err := rt.Create(t.Context(), s.bundle)
		if err != nil {
			if rt.Name() != "podman" || !strings.Contains(err.Error(), "podman init: ") || !strings.Contains(err.Error(), "/cellwall-none") {
				t.Errorf("create with a program that is not there: %v", err)
			}
			return
		}
		err = c.Start(t.Context())
		check(t, write.Close()) // the container has its own
		if err == nil || !strings.Contains(err.Error(), "cannot make the container") || !strings.Contains(err.Error(), "/cellwall-none") || strings.Contains(err.Error(), "\n") {
			t.Errorf("start of a program that is not there: %v", err)
		}
		if _, err := c.Wait(t.Context()); err == nil {
			t.Error("one that never began has ended")
		}
		check(t, c.Delete(t.Context()))
		text, err := io.ReadAll(read)
		if err != nil || !strings.Contains(string(text), "/cellwall-none") {
			t.Errorf("on its standard error is %q, %v", text, err)
		}
	})
}

// TestEngineIDs: the engine gets names as they are, and none is a path of ours.
func TestEngineIDs(t *testing.T) {
	s, rt, calls := anEngine(t, "exit")
	s.bundle.ID = "../out"
	if _, err := rt.Create(t.Context(), s.bundle); err == nil || !strings.Contains(err.Error(), "podman create: Error: names must match") {
		t.Errorf("a name with a slash: %v", err)
	}
	text, err := os.ReadFile(calls)
	if err != nil || !strings.Contains(string(text), "create --name=../out --cgroup-parent=/") {
		t.Errorf("it is called by %q, %v", text, err)
	}
	s.noEngine(t)
	b := s.bundle
	b.Parent = nil
	if _, err := rt.Create(t.Context(), b); err == nil || !strings.Contains(err.Error(), "cgroup") {
		t.Errorf("a container without a group above it: %v", err)
	}
}

// TestEngineCreate has an engine that leaves something out, and one whose answer is no id.
func TestEngineCreate(t *testing.T) {
	for answer, want := range map[string]string{
		"echo Memory limited without swap. >&2": "podman: Memory limited without swap.",
		"echo more":                             "is no id of a container",
		"echo no >&2; exit 1":                   "podman create: no (exit status 1)",
	} {
		s, rt, _ := anEngine(t, "exit", "CREATE", answer, "eachgroup rmdir", ":") // there are none yet
		_, err := rt.Create(t.Context(), s.bundle)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, kernel.ErrNotSupported) != strings.Contains(want, "Memory") {
			t.Errorf("%s: %v", answer, err)
		}
		s.noEngine(t)
	}
}

// TestEngineLeavesSomething has an engine that keeps a process, the container's cgroup and a mount. Delete
// names them, and removes them.
func TestEngineLeavesSomething(t *testing.T) {
	s, rt, _ := anEngine(t, "exit", "RM", `sleep 1000 </dev/null >/dev/null 2>&1 & mkdir "$state/kept" && mount -t tmpfs kept "$state/kept"`, "eachgroup rmdir", ":")
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	check(t, c.Start(t.Context()))
	_, err = c.Wait(t.Context())
	check(t, err)
	err = c.Delete(t.Context())
	var left *cleanup.Left
	if !errors.As(err, &left) || left.Who != "podman" {
		t.Fatalf("the error does not name what was left: %v", err)
	}
	for _, want := range []string{"(sleep)", "cgroup " + s.parent.Path("pids"), "storage/kept"} {
		if !strings.Contains(left.Error(), want) {
			t.Errorf("it has left no %s: %v", want, left)
		}
	}
	s.noEngine(t)
}

// TestEngineClientThatHangs is ended, and is nothing that the engine has left.
func TestEngineClientThatHangs(t *testing.T) {
	s, rt, _ := anEngine(t, "exit", "wait $out $err", "kill $in $out $err; exec sleep 1000")
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	check(t, c.Start(t.Context()))
	check(t, c.Delete(t.Context()))
	s.noEngine(t)
}

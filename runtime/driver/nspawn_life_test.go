package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
)

// fakeNspawn does what of systemd-nspawn a driver can see: it moves itself and the container to groups below
// its own, in cgroup v2 and in name=systemd, is the parent of a program that it executes as it is told, and
// gives back how that ended.
const fakeNspawn = `#!/bin/sh
case $1 in --version) echo 'systemd VERSION (VERSION.38-1~deb12u1)'; echo +PAM; exit;; esac
printf '%s\n' "$@" >DIR/argv
env >DIR/env
for a; do case $a in --directory=*) root=${a#*=}; break;; esac; done
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
for top in TOPS; do
	mkdir -p "$top$own/payload" "$top$own/supervisor"
	echo $$ >"$top$own/supervisor/cgroup.procs"
done
while [ "$1" != -- ]; do shift; done
shift
export root own
unshare --mount --pid --fork --kill-child sh -c 'for top in TOPS; do echo $$ >"$top$own/payload/cgroup.procs"; done; exec unshare --root="$root" -- "$@"' sh "$@"
code=$?
[ $code -lt 128 ] || { echo "Container terminated by signal." >&2; exit 1; }
exit $code
`

// named is where systemd has its own hierarchy of v1.
const named = "/sys/fs/cgroup/systemd"

// newNspawnStand has a fake of a version, in dir, find itself by its path. beside are the directories in
// name=systemd in which a container's groups would be left.
func newNspawnStand(t *testing.T, program, version string) (s *stand, rt driver.Runtime, dir string, beside func() []string) {
	t.Helper()
	s, dir = newStand(t, program), t.TempDir()
	var tops []string
	for _, h := range s.parent.Hierarchies() {
		if h.V2 {
			tops = append(tops, strings.TrimSuffix(h.Path, h.Below))
		}
	}
	if len(tops) == 0 {
		t.Skip("needs cgroup v2")
	}
	if text, err := os.ReadFile("/proc/self/mounts"); err == nil && strings.Contains(string(text), " "+named+" cgroup ") && tops[0] != named {
		tops = append(tops, named)
	}
	script := strings.NewReplacer("DIR", dir, "TOPS", strings.Join(tops, " "), "VERSION", version).Replace(fakeNspawn)
	file := filepath.Join(dir, "nspawn")
	check(t, os.WriteFile(file, []byte(script), 0o755))
	return s, s.find(t, "systemd-nspawn="+file), dir, func() []string {
		found, err := filepath.Glob(named + "/" + filepath.Base(s.parent.Name()) + "/*/*")
		check(t, err)
		return slices.DeleteFunc(found, func(p string) bool {
			info, err := os.Stat(p)
			return err != nil || !info.IsDir()
		})
	}
}

func TestLifeOfNspawn(t *testing.T) {
	s, rt, dir, beside := newNspawnStand(t, "exit", "252")
	if v, err := rt.Version(t.Context()); err != nil || v != "252.38-1~deb12u1" {
		t.Errorf("version %q, %v", v, err)
	}
	check(t, rt.Expresses(s.bundle))
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	check(t, c.Start(t.Context()))
	if status, err := c.Wait(t.Context()); err != nil || status.Code != 7 {
		t.Errorf("ended: %+v, %v", status, err)
	}
	argv, err := os.ReadFile(filepath.Join(dir, "argv"))
	check(t, err)
	for _, want := range []string{
		"--machine=" + s.bundle.ID, "--register=no", "--keep-unit", "--directory=" + s.bundle.Spec.Root.Path, "--private-users=1048576:65536",
		"--private-network", "--no-new-privileges=yes", "--rlimit=NOFILE=1024:1024", "--", "exit",
	} {
		if !slices.Contains(strings.Split(string(argv), "\n"), want) {
			t.Errorf("its arguments are\n%s\nwithout %s", argv, want)
		}
	}
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	check(t, err)
	if !strings.Contains(string(env), "SYSTEMD_NSPAWN_LOCK=0\n") || strings.Contains(string(env), "HOME=") || strings.Contains(string(env), "SYSTEMD_SECCOMP") {
		t.Errorf("its environment is\n%s", env)
	}
	for range 2 {
		check(t, c.Delete(t.Context()))
	}
	s.clean(t)
	if left := beside(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestKillOfNspawn kills a container whose processes are in groups below its own.
func TestKillOfNspawn(t *testing.T) {
	for _, kill := range []bool{true, false} {
		s, rt, _, beside := newNspawnStand(t, "wait", "252")
		in, hold, err := os.Pipe()
		check(t, err)
		defer hold.Close()
		s.bundle.Stdin = in
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		want := strings.Join(s.bundle.Spec.Process.Args, "\x00") + "\x00"
		if procs := s.procs(t); !slices.Contains(procs, want) || len(procs) < 2 {
			t.Errorf("in the container's group are %q", procs)
		}
		if _, err := os.Stat(named); err == nil && len(beside()) == 0 {
			t.Error("the fake made no groups in name=systemd")
		}
		if kill {
			check(t, c.Kill(unix.SIGKILL))
			if _, err := c.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
		check(t, c.Delete(t.Context()))
		if procs := s.procs(t); len(procs) > 0 {
			t.Errorf("left: %q", procs)
		}
		s.clean(t)
		if left := beside(); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// TestNspawnIDs has ids that are no names, also of groups.
func TestNspawnIDs(t *testing.T) {
	s, rt, dir, beside := newNspawnStand(t, "exit", "252")
	for _, id := range []string{"../out", "", "a b"} {
		s.bundle.ID = id
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		_, err = c.Wait(t.Context())
		check(t, err)
		check(t, c.Delete(t.Context()))
		argv, err := os.ReadFile(filepath.Join(dir, "argv"))
		check(t, err)
		if !strings.HasPrefix(string(argv), "--machine=tool-") {
			t.Errorf("%q: %.60s", id, argv)
		}
		if left := beside(); len(left) > 0 {
			t.Errorf("%q: left: %q", id, left)
		}
	}
	s.clean(t)
}

func TestFailureOfNspawn(t *testing.T) {
	s, rt, _, _ := newNspawnStand(t, "exit", "252")
	s.bundle.Spec.Process.Args[0] = "/cellwall-none"
	c, err := rt.Create(t.Context(), s.bundle)
	check(t, err)
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "systemd-nspawn cannot make the container") || !strings.Contains(err.Error(), "/cellwall-none") {
		t.Errorf("start of a program that is not there: %v", err)
	}
	check(t, c.Delete(t.Context()))
	s.clean(t)
}

// TestNspawnPlace has hosts and versions that do not go together.
func TestNspawnPlace(t *testing.T) {
	for version, fits := range map[string]bool{"252": true, "257": true, "258": false} {
		s, rt, _, _ := newNspawnStand(t, "exit", version)
		if len(s.parent.Hierarchies()) == 1 {
			t.Skip("needs v1 beside cgroup v2")
		}
		if err := rt.Expresses(s.bundle); (err == nil) != fits || !fits && !(errors.Is(err, kernel.ErrNotSupported) && strings.Contains(err.Error(), "cgroup v2 alone")) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestNspawnTooOld(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{"systemd 251 (251.4-1)": "version 251.4-1 is older than 252", "systemd 252": "", "systemd 260 (260.1-1-arch)": ""} {
		file := filepath.Join(dir, "nspawn")
		check(t, os.WriteFile(file, []byte("#!/bin/sh\necho '"+line+"'\n"), 0o755))
		_, err := driver.Find(t.Context(), "systemd-nspawn="+file, nil)
		if want == "" && err != nil || want != "" && (!errors.Is(err, driver.ErrAbsent) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

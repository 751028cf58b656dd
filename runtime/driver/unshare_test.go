package driver

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// TestQuoted has the shell say each word back.
func TestQuoted(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, word := range []string{"", "a", "a b", "$(exit 3)", "`exit 3`", "it's", "''", "'; exit 3; '", "\\", "\n", "*", "-n", "\"", "é\xff"} {
		out, err := exec.CommandContext(t.Context(), sh, "-c", "printf %s "+quoted(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q became %q, %v", word, out, err)
		}
	}
}

func unshareOf(held ...string) *unshare {
	u := &unshare{path: "/bin/unshare", aids: map[string]string{}, held: len(held)}
	for _, a := range aids {
		u.aids[a] = "/bin/" + a
	}
	return u
}

func TestUnshareCommand(t *testing.T) {
	held := []string{"CAP_KILL", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT"}
	u := unshareOf(held...)
	o := spec.Options{Rootfs: "/r", Args: []string{"/p", "a b"}, Capabilities: held, HostID: 5000, IDCount: 10}
	s, _ := u.Lacks().Apply(spec.New(spec.Hardened, o))
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 5, Hard: ^uint64(0)}}
	s.Process.Env = []string{"A=b"}
	s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 7}, "boottime": {Secs: -8}}
	l, err := u.command(Bundle{Spec: s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.Index(l.argv, "-c")
	if i < 0 {
		t.Fatalf("no script in %q", l.argv)
	}
	want := "/bin/setpriv --reuid 5000 --regid 5000 --clear-groups --pdeathsig KILL -- /bin/unshare --mount --propagation private --fork --kill-child --map-root-user --pid --uts --ipc --net --cgroup --time --boottime -8 --monotonic 7 /bin/sh"
	if got := strings.Join(l.argv[:i], " "); got != want {
		t.Errorf("outside\n%s, want\n%s", got, want)
	}
	want = "sh|/bin/setsid|/bin/env|-i|--|A=b|/bin/prlimit|--nofile=5:unlimited|--|/bin/setpriv|--no-new-privs|--inh-caps=-all|--ambient-caps=-all|--bounding-set=-all,+kill,+sys_chroot|--|/bin/unshare|--root=/r|--wd=/|--|/p|a b"
	if got := strings.Join(l.argv[i+2:], "|"); got != want {
		t.Errorf("inside\n%s, want\n%s", got, want)
	}
	s.Annotations = map[string]string{spec.DenySetgroups: "true"}
	if l, err = u.command(Bundle{Spec: s}, nil); err != nil || !slices.Contains(l.argv, "--keep-groups") {
		t.Errorf("with setgroups denied: %q, %v", l.argv, err)
	}
	s, _ = u.Lacks().Apply(spec.New(spec.Namespaces, o))
	s.Process.User = specs.User{UID: 3, GID: 4, AdditionalGids: []uint32{5, 6}}
	if l, err = u.command(Bundle{Spec: s}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/bin/unshare --mount", "/bin/setpriv --groups 5,6 -- /bin/unshare --root=/r --wd=/ --setgid 4 --setuid 3 -- /p"} {
		if got := strings.Join(l.argv, " "); !strings.Contains(got, want) {
			t.Errorf("by root\n%s has no\n%s", got, want)
		}
	}
}

// TestUnshareScript compares the parts of a script: what is quoted, and that a directory is made in a
// file system of the container's own only.
func TestUnshareScript(t *testing.T) {
	u := unshareOf()
	s := spec.New(spec.Namespaces, spec.Options{Rootfs: "/it's", Args: []string{"/p"}})
	s.Root.Readonly = true
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"../../etc/x y"}, []string{"../proc/sys"}
	s.Mounts = append(s.Mounts, spec.Bind("/v", "/../volume", "ro", "nosuid"))
	s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/null", Type: "c", Major: 1, Minor: 5}, {Path: "/dev/x", Type: "b", Major: 7, FileMode: new(os.FileMode(0o640))}, {Path: "/dev/fifo", Type: "p"}}
	text, err := u.script(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"'set' '-e'\n'umask' '0'\n'mount' '-n' '--rbind' '/it'\\''s' '/it'\\''s'\n",
		"'mount' '-n' '-t' 'proc' '-o' 'nosuid,noexec,nodev' '--' 'proc' '/it'\\''s/proc'\n",
		"'mkdir' '-p' '/it'\\''s/dev/pts'\n",
		": >'/it'\\''s/dev/zero'\n'mount' '-n' '--bind' '/dev/zero' '/it'\\''s/dev/zero'\n",
		"'mknod' '-m' '0666' '/it'\\''s/dev/null' 'c' '1' '5'\n",
		"'mknod' '-m' '0640' '/it'\\''s/dev/x' 'b' '7' '0'\n",
		"'mknod' '-m' '0666' '/it'\\''s/dev/fifo' 'p'\n",
		"'ln' '-s' 'pts/ptmx' '/it'\\''s/dev/ptmx'\n",
		"'mount' '-n' '--rbind' '--' '/v' '/it'\\''s/volume'\n'mount' '-n' '-o' 'remount,bind,ro,nosuid' '--' '/it'\\''s/volume'\n",
		"if [ -d '/it'\\''s/etc/x y' ]; then",
		"if [ -e '/it'\\''s/proc/sys' ]; then",
		"'mount' '-n' '-o' 'remount,bind,ro' '/it'\\''s'\n",
		"printf %s '1' >'/proc/sys/net/ipv4/ip_forward'\n",
		"'hostname' '--' 'cellwall'\n'umask' '0022'\nexec \"$@\"",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the script has no\n%s", want)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "'mkdir'") && !strings.Contains(line, "s/dev/") {
			t.Errorf("made in the root directory: %s", line)
		}
	}
	if strings.Contains(text, "'--bind' '/dev/null' '/it'\\''s/dev/null'") {
		t.Error("the device that takes the place of another is bound over")
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-n", "-c", text).CombinedOutput(); err != nil {
		t.Errorf("sh cannot read it: %v, %s", err, out)
	}
}

func TestChrootCommand(t *testing.T) {
	c := &chroot{path: "/sbin/chroot"}
	s, _ := c.Lacks().Apply(spec.New(spec.Hardened, spec.Options{Rootfs: "/r", Args: []string{"/p", "a"}}))
	s.Process.Env = []string{"A=b"}
	l, err := c.command(Bundle{Spec: s}, nil)
	if want := []string{"/sbin/chroot", "--groups=", "/r", "/p", "a"}; err != nil || !slices.Equal(l.argv, want) || !slices.Equal(l.env, s.Process.Env) {
		t.Errorf("%q with %q, %v, want %q", l.argv, l.env, err, want)
	}
	s.Process.User = specs.User{UID: 3, GID: 4, AdditionalGids: []uint32{5, 6}}
	l, err = c.command(Bundle{Spec: s}, nil)
	if want := []string{"/sbin/chroot", "--groups=5,6", "--userspec=+3:+4", "/r", "/p", "a"}; err != nil || !slices.Equal(l.argv, want) {
		t.Errorf("%q, %v, want %q", l.argv, err, want)
	}
	// Together they are 1<<32.
	s.Process.User = specs.User{UID: 1 << 31, GID: 1 << 31}
	if l, err = c.command(Bundle{Spec: s}, nil); err != nil || !slices.Contains(l.argv, "--userspec=+2147483648:+2147483648") {
		t.Errorf("%q, %v", l.argv, err)
	}
	if l.env == nil {
		t.Error("an empty environment would be the launcher's")
	}
}

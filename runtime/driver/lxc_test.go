package driver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// lxcSpec is a spec of a rung as LXC gets it, in which nothing of the host's is looked for.
func lxcSpec(x *lxc, r spec.Rung) *specs.Spec {
	held := []string{"CAP_KILL", "CAP_SYS_ADMIN"}
	o := spec.Options{Rootfs: "/srv/no root", Args: []string{"/p", "a b"}, Capabilities: held, HostID: 5000, IDCount: 10}
	s, _ := x.Lacks().Apply(spec.New(r, o))
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
	return s
}

func TestLXCConfig(t *testing.T) {
	x := &lxc{path: "/bin/lxc-execute", apparmor: true, limits: true}
	s := lxcSpec(x, spec.Hardened)
	s.Root.Readonly = true
	s.Process.Env = []string{"A=b 'c'", "E="}
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 5, Hard: ^uint64(0)}}
	s.Linux.Resources.Devices = s.Linux.Resources.Devices[:2]
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
	s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 7}, "boottime": {Secs: -8}}
	got, err := x.config(Bundle{Spec: s}, "/d")
	if err != nil {
		t.Fatal(err)
	}
	want := `lxc.apparmor.profile = unconfined
lxc.console.path = none
lxc.rootfs.path = dir:/srv/no root
lxc.rootfs.mount = /d/rootfs
lxc.rootfs.managed = 0
lxc.rootfs.options = ro
lxc.uts.name = cellwall
lxc.net.0.type = empty
lxc.namespace.clone = user mnt pid uts ipc net cgroup time
lxc.time.offset.boot = -8s
lxc.time.offset.monotonic = 7s
lxc.idmap = u 0 5000 10
lxc.idmap = g 0 5000 10
lxc.mount.entry = proc proc proc nosuid,noexec,nodev 0 0
lxc.autodev.tmpfs.size = 67108864
lxc.pty.max = 1024
lxc.mount.entry = shm dev/shm tmpfs nosuid,noexec,nodev,mode=1777,size=65536k,nr_inodes=4096,create=dir 0 0
lxc.mount.entry = mqueue dev/mqueue mqueue nosuid,noexec,nodev,create=dir 0 0
lxc.mount.entry = sysfs sys sysfs nosuid,noexec,nodev,ro 0 0
lxc.mount.entry = tmp tmp tmpfs nosuid,nodev,mode=1777,size=65536k,nr_inodes=4096 0 0
lxc.autodev = 1
lxc.sysctl.net.ipv4.ip_forward = 1
lxc.prlimit.nofile = 5:unlimited
lxc.cap.keep = kill
lxc.no_new_privs = 1
lxc.seccomp.profile = /d/seccomp
lxc.seccomp.allow_nesting = 1
lxc.init.uid = 0
lxc.init.gid = 0
lxc.init.cwd = /
lxc.environment = A=b 'c'
lxc.environment = E=
lxc.cgroup2.memory.swap.max = 0
lxc.cgroup2.memory.max = 268435456
lxc.cgroup2.cpu.weight = 100
lxc.cgroup2.pids.max = 256
lxc.cgroup2.cpu.max = 100000 100000
lxc.cgroup2.devices.deny = a
lxc.cgroup2.devices.allow = c 1:3 rwm
`
	if got != want {
		t.Errorf("hardened is\n%s, want\n%s", got, want)
	}

	x.apparmor = false
	s = lxcSpec(x, spec.Namespaces)
	s.Mounts = nil
	s.Process.User = specs.User{UID: 3, GID: 4, AdditionalGids: []uint32{5, 6}}
	s.Process.Capabilities = &specs.LinuxCapabilities{}
	s.Process.Cwd = "/a b"
	for _, n := range []specs.LinuxNamespaceType{specs.TimeNamespace, specs.NetworkNamespace, specs.UTSNamespace} {
		spec.WithoutNamespace(n).Apply(s)
	}
	spec.JoinNamespace(specs.NetworkNamespace, "/n").Apply(s)
	if got, err = x.config(Bundle{Spec: s}, "/d"); err != nil {
		t.Fatal(err)
	}
	want = `lxc.console.path = none
lxc.rootfs.path = dir:/srv/no root
lxc.rootfs.mount = /d/rootfs
lxc.rootfs.managed = 0
lxc.namespace.clone = mnt pid ipc cgroup
lxc.autodev = 0
lxc.cap.keep = none
lxc.init.uid = 3
lxc.init.gid = 4
lxc.init.groups = 5,6
lxc.init.cwd = /a b
lxc.environment = PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
`
	if got != want {
		t.Errorf("namespaces is\n%s, want\n%s", got, want)
	}
	s.Process.Capabilities = nil
	if got, err = x.config(Bundle{Spec: s}, "/d"); err != nil || strings.Contains(got, "lxc.cap") {
		t.Errorf("without a list all stay: %v\n%s", err, got)
	}
}

// TestLXCLacks: limits are taken out where LXC could set none.
func TestLXCLacks(t *testing.T) {
	s := lxcSpec(&lxc{}, spec.Hardened)
	limits, err := limitsOf(s.Linux.Resources)
	if err != nil || !slices.Equal(limits, []string{"devices"}) {
		t.Errorf("limits %q are left, %v", limits, err)
	}
	s.Linux.MaskedPaths = []string{"/cellwall-none"} // without any LXC would have to leave /proc uncovered
	if err := (&lxc{}).expresses(Bundle{Spec: s}); err != nil {
		t.Error(err)
	}
}

func TestRemoveEmpty(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"a/b/c", "a/other"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // nothing there is no error
		if err := removeEmpty(base, "/a/b/c"); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(base + "/a/*"); err != nil || !slices.Equal(left, []string{base + "/a/other"}) {
		t.Errorf("left %q, %v", left, err)
	}
	if err := removeEmpty(base, "/a/other"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	if _, err := os.Stat(base); err != nil {
		t.Error(err)
	}
}

// FuzzLXCFile: what is written is read back as it is, or refused.
func FuzzLXCFile(f *testing.F) {
	for _, v := range []string{"", "a", " a", "a\n", `"a"`, "'", `a"`, "a=b", "#", "\x00", "a\nlxc.hook.start = /x", "é", " "} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		file := &lxcFile{}
		file.set("lxc.key", value)
		text := file.text.String()
		if file.err != nil {
			if text != "" {
				t.Errorf("%q is refused and written: %q", value, text)
			}
			return
		}
		if got, ok := strings.CutPrefix(text, "lxc.key = "); !ok || strings.Count(text, "\n") != 1 || parsedLXC(strings.TrimSuffix(got, "\n")) != value {
			t.Errorf("%q became %q", value, text)
		}
	})
}

// TestLXCKeys: nothing of a sysctl's name is a line of its own, or another's value.
func TestLXCKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"net.ipv4.conf.eth-0_1.forwarding": true, "net.a = b": false, "net.a=b": false, "net.a\nlxc.init.uid": false, "net.a\rb": false, "net.a\x00": false,
	} {
		f := &lxcFile{}
		f.set("lxc.sysctl."+key, "1")
		if got := f.err == nil; got != want || got != (f.text.Len() > 0) {
			t.Errorf("%q: %v, %q", key, f.err, &f.text)
		}
	}
}

// parsedLXC is a value as parse_line in confile.c reads it.
func parsedLXC(v string) string {
	v = strings.Trim(v, " \t\n\r")
	if len(v) > 1 && (v[0] == '\'' || v[0] == '"') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

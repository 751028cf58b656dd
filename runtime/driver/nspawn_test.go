package driver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// nspawnAt is nspawn of a version, for a launcher with three capabilities.
func nspawnAt(t *testing.T, version string) *nspawn {
	return &nspawn{path: "/usr/bin/systemd-nspawn", version: version, held: []string{"CAP_KILL", "CAP_SYS_ADMIN", "CAP_AUDIT_WRITE"}, run: t.TempDir()}
}

// lineOf is a hardened spec, or a changed one, as nspawn takes it.
func (n *nspawn) lineOf(t *testing.T, rung spec.Rung, edits ...spec.Edit) (*specs.Spec, spec.Options) {
	t.Helper()
	o := spec.Options{Rootfs: t.TempDir(), Args: []string{"/p", "--", "-x"}, Capabilities: n.held, HostID: 5000, IDCount: 70000}
	s, _ := append(n.Lacks(), edits...).Apply(spec.New(rung, o))
	return s, o
}

// TestNspawnCommand compares the whole line and environment of a hardened container, and of one that root
// makes in namespaces of the host's.
func TestNspawnCommand(t *testing.T) {
	n := nspawnAt(t, "252.38-1~deb12u1")
	s, o := n.lineOf(t, spec.Hardened, spec.Change("", func(s *specs.Spec) {
		s.Process.Env, s.Process.Cwd, s.Root.Readonly = []string{"A=b=c", "PATH=/bin"}, "/tmp", true
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 5, Hard: ^uint64(0)}}
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, slices.Clone(nspawnReadonly)
	}), spec.Allowing("bpf", "keyctl"), spec.WithMount(spec.Bind("/srv/a:b", "/v", "ro")))
	var undo cleanup.Stack
	l, err := n.command(Bundle{ID: "cellwall-x-1", Spec: s}, &undo)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/usr/bin/systemd-nspawn", "--machine=cellwall-x-1", "--quiet", "--register=no", "--keep-unit", "--settings=no", "--console=pipe",
		"--link-journal=no", "--resolv-conf=off", "--timezone=off",
		"--directory=" + o.Rootfs, "--private-users=5000:70000", "--read-only", "--private-network", "--hostname=cellwall",
		"--tmpfs=/dev/shm:nosuid,noexec,nodev,mode=1777,size=65536k,nr_inodes=4096",
		"--tmpfs=/tmp:nosuid,nodev,mode=1777,size=65536k,nr_inodes=4096",
		`--bind-ro=/srv/a\:b:/v`, "--bind-ro=/proc/sys/net:/proc/sys/net",
		"--chdir=/tmp", "--setenv=A=b=c", "--setenv=PATH=/bin", "--rlimit=NOFILE=5:infinity",
		"--capability=CAP_AUDIT_WRITE,CAP_KILL", dropping("CAP_AUDIT_WRITE", "CAP_KILL"), "--no-new-privileges=yes", "--system-call-filter=bpf keyctl",
		"--", "/p", "--", "-x",
	}
	if !slices.Equal(l.argv, want) {
		t.Errorf("the line\n%s, want\n%s", strings.Join(l.argv, "\n"), strings.Join(want, "\n"))
	}
	env := []string{"SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_TMPFS_TMP=0", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"}
	if !slices.Equal(l.env, env) {
		t.Errorf("in the environment %q, want %q", l.env, env)
	}
	if info, err := os.Stat(filepath.Join(o.Rootfs, "usr")); err != nil || !info.IsDir() {
		t.Errorf("the root directory has no /usr: %v", err)
	}
	// The rest of it, one namespace of the host's after the other.
	s, _ = n.lineOf(t, spec.Namespaces)
	for _, c := range []struct {
		namespace       specs.LinuxNamespaceType
		variable, there string // what comes, and what goes from the line
	}{
		{specs.NetworkNamespace, "", "--private-network"},
		{specs.UTSNamespace, "SYSTEMD_NSPAWN_SHARE_NS_UTS=1", "--hostname=cellwall"},
		{specs.IPCNamespace, "SYSTEMD_NSPAWN_SHARE_NS_IPC=1", ""},
		{specs.CgroupNamespace, "SYSTEMD_NSPAWN_USE_CGNS=0", ""},
		{specs.PIDNamespace, "SYSTEMD_NSPAWN_SHARE_NS_PID=1", ""},
	} {
		for _, gone := range []bool{false, true} {
			if gone {
				spec.WithoutNamespace(c.namespace).Apply(s)
			}
			if err := n.expresses(Bundle{Spec: s}); err != nil {
				t.Fatal(err)
			}
			l, err := n.command(Bundle{Spec: s}, &undo)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(l.env, "SYSTEMD_SECCOMP=0") {
				t.Errorf("with no filter: %q", l.env)
			}
			if c.there != "" && slices.Contains(l.argv, c.there) == gone {
				t.Errorf("without %s is %v: %q", c.namespace, gone, l.argv)
			}
			if c.variable != "" && slices.Contains(l.env, c.variable) != gone {
				t.Errorf("without %s is %v: %q", c.namespace, gone, l.env)
			}
		}
	}
	line, err := n.options(s)
	if err != nil || slices.ContainsFunc(line, func(a string) bool {
		return strings.HasPrefix(a, "--system-call")
	}) || !slices.Contains(line, dropping(n.held...)) ||
		!slices.Contains(line, "--private-users=no") || !slices.Contains(line, "--capability=CAP_KILL,CAP_SYS_ADMIN,CAP_AUDIT_WRITE") ||
		!slices.Contains(line, "--no-new-privileges=no") {
		t.Errorf("of root's: %q, %v", line, err)
	}
}

// dropping is the argument for all capabilities but some: also those that no launcher has, and a user namespace gives.
func dropping(kept ...string) string {
	others := slices.DeleteFunc(kernel.Capabilities(), func(c string) bool { return slices.Contains(kept, c) })
	return "--drop-capability=" + strings.Join(others, ",")
}

// TestNspawnExpresses changes a spec that nspawn can make by one thing at a time.
func TestNspawnExpresses(t *testing.T) {
	change := func(f func(*specs.Spec)) spec.Edit { return spec.Change("", f) }
	one, umask := int64(1), uint32(0o077)
	n := nspawnAt(t, "252")
	for want, edit := range map[string]spec.Edit{
		"mount namespace always":          change(func(s *specs.Spec) { s.Linux.Namespaces = s.Linux.Namespaces[1:] }),
		"makes no time namespace":         spec.JoinNamespace(specs.TimeNamespace, ""),
		"takes a pid namespace too":       spec.WithoutNamespace(specs.PIDNamespace),
		"every container a host name":     change(func(s *specs.Spec) { s.Hostname = "" }),
		"sets no sysctl":                  change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.x": "1"} }),
		"no devices but the default ones": change(func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x"}} }),
		"umask of 022":                    change(func(s *specs.Spec) { s.Process.User.Umask = &umask }),
		"getent(1) of the image":          change(func(s *specs.Spec) { s.Process.User.GID = 7 }),
		"asks getent(1)":                  change(func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{7} }),
		"deny setgroups":                  change(func(s *specs.Spec) { s.Annotations = map[string]string{spec.DenySetgroups: "true"} }),
		"capabilities inheritable":        change(func(s *specs.Spec) { s.Process.Capabilities.Inheritable = []string{"CAP_KILL"} }),
		"one set of capabilities":         change(func(s *specs.Spec) { s.Process.Capabilities.Effective = nil }),
		"limits, such as pids":            change(func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &one} }),
		"limits, such as devices":         change(func(s *specs.Spec) { s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Access: "rwm"}} }),
		`no variable such as "A"`:         change(func(s *specs.Spec) { s.Process.Env = []string{"A"} }),
		`no variable such as "1=2"`:       change(func(s *specs.Spec) { s.Process.Env = []string{"1=2"} }),
		`no variable such as "A=\xff"`:    change(func(s *specs.Spec) { s.Process.Env = []string{"A=\xff"} }),
		"maps one range of ids from 0":    change(func(s *specs.Spec) { s.Linux.UIDMappings[0].ContainerID, s.Linux.GIDMappings[0].ContainerID = 1, 1 }),
		"the same for users and groups":   change(func(s *specs.Spec) { s.Linux.GIDMappings[0].HostID++ }),
		"one range of ids": change(func(s *specs.Spec) {
			s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 70000, HostID: 80000, Size: 1})
			s.Linux.GIDMappings = s.Linux.UIDMappings
		}),
		"/proc/scsi, /proc/sys read-only always": change(func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"/proc/sys"} }),
		"a seccomp filter of its own":            change(func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno} }),
		"to which calls can be added": change(func(s *specs.Spec) {
			s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, specs.LinuxSyscall{Names: []string{"bpf"}, Action: specs.ActErrno})
		}),
		"filter of its own, to which": change(func(s *specs.Spec) {
			s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, specs.LinuxSyscall{Names: []string{"bpf"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{}}})
		}),
		"of its own, to which calls": change(func(s *specs.Spec) { s.Linux.Seccomp.Architectures = []specs.Arch{specs.ArchX86} }),
	} {
		s, _ := n.lineOf(t, spec.Hardened, edit)
		if err := n.expresses(Bundle{Spec: s}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "systemd-nspawn ") && !strings.Contains(err.Error(), ": systemd-nspawn ") {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, rung := range []spec.Rung{spec.Namespaces, spec.Limits, spec.Hardened} {
		for _, version := range []string{"252", "258", "260"} {
			n := nspawnAt(t, version)
			s, _ := n.lineOf(t, rung)
			if err := n.expresses(Bundle{Spec: s}); err != nil {
				t.Errorf("%s at %s: %v", version, rung, err)
			}
			before := len(s.Linux.MaskedPaths)
			s.Linux.MaskedPaths = nil
			if err := n.expresses(Bundle{Spec: s}); (err != nil) != (version == "260") {
				t.Errorf("%s at %s with nothing masked, instead of %d: %v", version, rung, before, err)
			}
		}
	}
}

// TestNspawnForgets has it killed, with its directories left.
func TestNspawnForgets(t *testing.T) {
	n := nspawnAt(t, "252")
	for _, dir := range []string{"propagate/m", "unix-export/m", "m/root", "m/propagate", "propagate/other", "mm"} {
		if err := os.MkdirAll(filepath.Join(n.run, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := n.lineOf(t, spec.Namespaces)
	var undo cleanup.Stack
	if _, err := n.command(Bundle{ID: "m", Spec: s}, &undo); err != nil {
		t.Fatal(err)
	}
	if err := undo.Close(); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, pattern := range []string{"*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(n.run, pattern))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found...)
	}
	want := []string{"mm", "propagate", "unix-export", "propagate/other"}
	for i := range want {
		want[i] = filepath.Join(n.run, want[i])
	}
	if !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
	if err := n.forget("m"); err != nil {
		t.Errorf("of what is not there any more: %v", err)
	}
}

func TestMachineName(t *testing.T) {
	for _, id := range []string{"cellwall-ab2-17", "x", strings.Repeat("x", 64)} {
		if got := machineName(id); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
	for _, id := range []string{"", "..", "../x", "a/b", "a.b", "a_b", "-a", "a-", "a\n", strings.Repeat("x", 65), "propagate", "unix-export"} {
		if got := machineName(id); !strings.HasPrefix(got, "tool-") || got == id || !machineLabel().MatchString(got) {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// TestMakeUsr leaves what is there, and follows no link out of the root directory.
func TestMakeUsr(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(filepath.Join(outside, "usr"), filepath.Join(root, "usr")); err != nil {
		t.Fatal(err)
	}
	if err := makeUsr(root); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(outside, "usr")); err == nil {
		t.Error("made behind a link")
	}
	if err := makeUsr(filepath.Join(root, "none")); err == nil {
		t.Error("made in a directory that is not there")
	}
}

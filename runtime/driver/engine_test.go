package driver

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// TestEngineExpresses changes a spec that an engine can make by one thing at a time.
func TestEngineExpresses(t *testing.T) {
	root := t.TempDir()
	change := func(f func(*specs.Spec)) spec.Edit { return spec.Change("", f) }
	noUser := spec.WithoutNamespace(specs.UserNamespace)
	resources := func(r specs.LinuxResources) spec.Edit {
		return change(func(s *specs.Spec) { r.Devices = s.Linux.Resources.Devices; s.Linux.Resources = &r })
	}
	both := map[string]spec.Edit{
		"a step of the core":           spec.Omitting("nothing", "close-descriptors"),
		"host's root directory":        spec.HostRootDirectory(),
		"needs a program":              change(func(s *specs.Spec) { s.Process.Args = nil }),
		"is given no terminal":         change(func(s *specs.Spec) { s.Process.Terminal = true }),
		"runs no hooks":                change(func(s *specs.Spec) { s.Hooks = &specs.Hooks{} }),
		"no domain name":               change(func(s *specs.Spec) { s.Domainname = "x" }),
		"no label of":                  change(func(s *specs.Spec) { s.Process.ApparmorProfile = "x" }),
		"no propagation of":            change(func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" }),
		"neither intelRdt":             change(func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{} }),
		"deny setgroups":               change(func(s *specs.Spec) { s.Annotations = map[string]string{spec.DenySetgroups: "true"} }),
		"without a value":              change(func(s *specs.Spec) { s.Process.Env = []string{"A"} }),
		"a mount namespace always":     spec.WithoutNamespace(specs.MountNamespace),
		"no time namespace":            spec.JoinNamespace(specs.TimeNamespace, ""),
		"shows the host's /dev/shm":    spec.WithoutNamespace(specs.IPCNamespace),
		"/dev/shm with an ipc":         spec.JoinNamespace(specs.IPCNamespace, "/n"),
		"a host name in a uts":         change(func(s *specs.Spec) { spec.WithoutNamespace(specs.UTSNamespace).Apply(s); s.Hostname = "x" }),
		"needs a list of capabilities": change(func(s *specs.Spec) { s.Process.Capabilities = nil }),
		"one set of capabilities":      change(func(s *specs.Spec) { s.Process.Capabilities.Effective = nil }),
		"inheritable or ambient":       change(func(s *specs.Spec) { s.Process.Capabilities.Ambient = []string{"CAP_KILL"} }),
		"no sysctl such as user.x":     change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"user.x": "1"} }),
		"sets net.x in a network": change(func(s *specs.Spec) {
			noUser.Apply(s)
			spec.WithoutNamespace(specs.NetworkNamespace).Apply(s)
			s.Linux.Sysctl = map[string]string{"net.x": "1"}
		}),
		"no listener of":                change(func(s *specs.Spec) { s.Linux.Seccomp.ListenerPath = "/s" }),
		"a sysfs at /sys always":        spec.WithoutMount("/sys"),
		"no device of type \"p\"":       change(func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Type: "p"}} }),
		"mode=1777 at /dev/shm always":  spec.WithMount(specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Options: []string{"nr_inodes=1"}}),
		"a devpts with":                 spec.WithMount(specs.Mount{Destination: "/dev/pts", Type: "devpts", Options: []string{"max=8"}}),
		"a cgroup with nosuid":          spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Options: []string{"rw"}}),
		"at /dev/pts always":            spec.WithMount(spec.Bind("/dev/pts", "/dev/pts")),
		"mounts no overlay (/o)":        spec.WithMount(specs.Mount{Destination: "/o", Type: "overlay"}),
		"a colon in a path for its end": spec.WithMount(specs.Mount{Destination: "/t:x", Type: "tmpfs"}),
		"no tmpfs with size=1,x=2":      spec.WithMount(specs.Mount{Destination: "/t", Type: "tmpfs", Options: []string{"size=1,x=2"}}),
		"no tmpfs with huge=always":     spec.WithMount(specs.Mount{Destination: "/t", Type: "tmpfs", Options: []string{"huge=always"}}),
		"no tmpfs with noatime":         spec.WithMount(specs.Mount{Destination: "/t", Type: "tmpfs", Options: []string{"noatime"}}),
		"binds nothing with noatime":    spec.WithMount(spec.Bind(root, "/v", "noatime")),
		"linux.resources.cpu.burst":     resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Burst: new(uint64(1))}}),
		"linux.resources.memory.kernel": resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Kernel: new(int64(1))}}), //nolint:staticcheck // a deprecated field that configurations still have
		"but memory, cpu, pids":         resources(specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 1}}}),
		"blockIO.weightDevice":          resources(specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{{}}}}),
		"block device 4095:7 has no": resources(specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
			ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{throttle(4095, 7)},
		}}),
		"a tmpfs with nosuid,strictatime": spec.WithMount(specs.Mount{Destination: "/dev", Type: "tmpfs", Options: []string{"nosuid"}}),
	}
	alone := map[string]map[string]spec.Edit{
		"docker": {
			"makes no user namespace":        spec.WithUserNamespace(spec.Options{HostID: 1}),
			"joins no network namespace":     spec.JoinNamespace(specs.NetworkNamespace, "/n"),
			"sets no umask":                  change(func(s *specs.Spec) { s.Process.User.Umask = new(uint32(0)) }),
			"the paths of its own list":      change(func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/x") }),
			"of its own list, and makes":     change(func(s *specs.Spec) { s.Linux.ReadonlyPaths = nil }),
			"memory below 6291456 bytes":     resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(6<<20 - 1))}}),
			"linux.resources.unified.io.max": resources(specs.LinuxResources{Unified: map[string]string{"io.max": "x"}}),
			"binds nothing with nosuid (/v)": spec.WithMount(spec.Bind(root, "/v", "nosuid")),
			"denies all devices and then": change(func(s *specs.Spec) {
				s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Access: "r"})
			}),
			"all devices and then allows":     change(func(s *specs.Spec) { s.Linux.Resources.Devices[0].Access = "w" }),
			"binds nothing with shared (/v2)": spec.WithMount(spec.Bind(root, "/v2", "rro", "shared")),
		},
		"podman": {
			"/sys in a user namespace":       spec.WithoutNamespace(specs.NetworkNamespace),
			"/proc in a user namespace":      spec.WithoutNamespace(specs.PIDNamespace),
			"of a user that is not root am":  change(func(s *specs.Spec) { s.Process.User.UID = 1 }),
			"makes no path read-only but":    change(func(s *specs.Spec) { s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/x") }),
			"its end (/a:b)":                 change(func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/a:b"} }),
			"no devices in a user":           change(func(s *specs.Spec) { s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Access: "rwm"}} }),
			"no tmpfs with nr_inodes=3 (/t)": spec.WithMount(specs.Mount{Destination: "/t", Type: "tmpfs", Options: []string{"nr_inodes=3"}}),
			"binds nothing with rro (/v)":    spec.WithMount(spec.Bind(root, "/v", "rro")),
			"joins no user namespace":        spec.JoinNamespace(specs.UserNamespace, "/n"),
		},
	}
	for name, cases := range alone {
		e := someEngine(name, "27.0")
		for _, rung := range []spec.Rung{spec.Namespaces, spec.Limits, spec.Hardened} {
			if err := e.Expresses(Bundle{Spec: engineSpec(e, rung, root)}); err != nil {
				t.Errorf("%s: what it lacks is taken out at %s, and still: %v", name, rung, err)
			}
		}
		maps.Copy(cases, both)
		for want, edit := range cases {
			s, omit := spec.Edits{edit}.Apply(engineSpec(e, spec.Hardened, root))
			err := e.Expresses(Bundle{Spec: s, Omit: omit})
			if !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(err.Error(), name) && !strings.Contains(want, "block device") {
				t.Errorf("%s: %s: %v", name, want, err)
			}
		}
	}
}

func throttle(major, minor int64) specs.LinuxThrottleDevice {
	d := specs.LinuxThrottleDevice{Rate: 1}
	d.Major, d.Minor = major, minor
	return d
}

// TestEngineVersions asks for what came with a version.
func TestEngineVersions(t *testing.T) {
	root := t.TempDir()
	errno := uint(unix.ENOSYS)
	for want, c := range map[string]struct {
		fails, works string
		edit         spec.Edit
	}{
		"defaultErrnoRet":     {"20.10.24+dfsg1", "23.0.0", spec.Change("", func(s *specs.Spec) { s.Linux.Seccomp.DefaultErrnoRet = &errno })},
		"passes flags":        {"20.10.24+dfsg1", "23.0.0", spec.Change("", func(s *specs.Spec) { s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog} })},
		"binds nothing with ": {"24.0.7", "25.0.0", spec.WithMount(spec.Bind(root, "/v", "rro"))},
	} {
		for version, fails := range map[string]bool{c.fails: true, c.works: false} {
			e := someEngine("docker", version)
			err := e.Expresses(Bundle{Spec: engineSpec(e, spec.Hardened, root, c.edit)})
			if (err != nil) != fails || fails && (!errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s on %s: %v", want, version, err)
			}
		}
	}
}

// TestDaemonHasMountsOfItsOwn: a stand-in for the host's is none for a daemon.
func TestDaemonHasMountsOfItsOwn(t *testing.T) {
	for name, fails := range map[string]bool{"docker": true, "podman": false} {
		e := someEngine(name, "27.0")
		err := e.Expresses(Bundle{Spec: engineSpec(e, spec.Hardened, t.TempDir()), From: "/proc/self/ns/mnt"})
		if errors.Is(err, kernel.ErrNotSupported) != fails || err != nil && !fails {
			t.Errorf("%s: %v", name, err)
		}
		if Copies(e) != fails {
			t.Errorf("%s copies the root directory: %v", name, Copies(e))
		}
	}
}

// TestWriteImage reads back an image of a directory with links that lead out of it. All of it lies in a
// directory of the test's own.
func TestWriteImage(t *testing.T) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	for _, d := range []string{root, outside, filepath.Join(root, "d")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600), os.Symlink(outside, filepath.Join(root, "away")),
		os.WriteFile(filepath.Join(root, "d/f"), []byte("content"), 0o600), os.Chmod(filepath.Join(root, "d/f"), 0o755|os.ModeSetuid),
		unix.Mkfifo(filepath.Join(root, "pipe"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	capability := append([]byte{1, 0, 0, 2, 0, 4}, make([]byte, 14)...) // VFS_CAP_REVISION_2, CAP_NET_BIND_SERVICE
	privileged := os.Geteuid() == 0 && unix.Setxattr(filepath.Join(root, "d/f"), fileCapabilities, capability, 0) == nil &&
		unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) == nil
	var image bytes.Buffer
	if err := errors.Join(imageable(root), writeImage(root, &image)); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := tar.NewReader(&image); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = fmt.Sprintf("%c %o %d:%d %s %d:%d %s %x", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Linkname, h.Devmajor, h.Devminor, text, h.PAXRecords["SCHILY.xattr."+fileCapabilities])
	}
	ids := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	want := map[string]string{
		".": "5 755 " + ids + "  0:0  ", "d": "5 755 " + ids + "  0:0  ", "pipe": "6 600 " + ids + "  0:0  ",
		"away": "2 777 " + ids + " " + outside + " 0:0  ", "d/f": "0 4755 " + ids + "  0:0 content ",
	}
	if privileged {
		want["null"] = "3 600 0:0  1:3  "
		want["d/f"] += fmt.Sprintf("%x", capability)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if strings.TrimSuffix(got[name], "/") != want[name] {
			t.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("the image has %q", slices.Sorted(maps.Keys(got)))
	}
	l, err := net.Listen("unix", filepath.Join(root, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, fails := range map[string]bool{"docker": true, "podman": false} {
		e := someEngine(name, "27.0")
		err := e.Expresses(Bundle{Spec: engineSpec(e, spec.Hardened, root)})
		if (err != nil) != fails || fails && (!errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "root/socket")) {
			t.Errorf("%s and a directory with a socket: %v", name, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(`{"Status":"running","Pid":7,"ExitCode":0,"StartedAt":"2024-01-01T00:00:00Z"}`)
	f.Add(`{"Status":"created","StartedAt":"0001-01-01T00:00:00Z"}`)
	f.Add(`{"Status":"exited","Pid":-1}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseState("docker", text)
		if err == nil && (s.Status == "" || s.Pid < 0 || s.Pid == 1) {
			t.Errorf("%q is %+v", text, s)
		}
	})
}

// TestFindDocker has clients of engines that cannot be used.
func TestFindDocker(t *testing.T) {
	file := filepath.Join(t.TempDir(), "docker")
	for script, want := range map[string]string{
		"echo Cannot connect to it. >&2; exit 1":        "the engine does not answer: Cannot connect to it.",
		`echo '{"ServerErrors":["permission denied"]}'`: "the engine does not answer: permission denied",
		"exit 3":        "the engine does not answer: exit status 3",
		"echo nonsense": "the engine does not answer: ",
		`echo '{"ServerVersion":"27.1","CgroupDriver":"systemd"}'`:                                      "native.cgroupdriver=cgroupfs",
		`echo '{"ServerVersion":"27.1","CgroupDriver":"cgroupfs","SecurityOptions":["name=rootless"]}'`: "is rootless",
		`echo '{"ServerVersion":"27.1","CgroupDriver":"cgroupfs","SecurityOptions":["name=apparmor"]}'`: "",
	} {
		if err := os.WriteFile(file, []byte("#!/bin/sh\n[ \"$1\" != version ] || { echo '[{\"Name\":\"runc\",\"Version\":\"1.1.5\"}]'; exit; }\n[ \"$1\" = info ] || exit 9\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		rt, err := Find(t.Context(), "docker="+file, nil)
		if want == "" {
			if err != nil {
				t.Error(err)
			} else if v, _ := rt.Version(t.Context()); v != "27.1 with runc 1.1.5" {
				t.Errorf("version %q", v)
			}
			continue
		}
		if !errors.Is(err, ErrAbsent) || !strings.Contains(fmt.Sprint(err), "runtime docker: not on this host as it is needed: ") ||
			!strings.Contains(fmt.Sprint(err), want) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: %v", script, err)
		}
	}
}

package driver

import (
	"errors"
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

// someEngine is an engine that nobody asks.
func someEngine(name, version string) *engine {
	d := podman()
	if name == "docker" {
		d = docker()
	}
	return &engine{dialect: d, path: "/usr/bin/" + name, version: version, under: &oci{name: runcName, path: "/usr/sbin/runc", version: "1.1.5"}}
}

func engineSpec(e *engine, rung spec.Rung, root string, edits ...spec.Edit) *specs.Spec {
	o := spec.Options{Rootfs: root, Args: []string{"/p", "-x"}, Capabilities: []string{"CAP_KILL", "CAP_SYS_ADMIN"}, HostID: 5000, IDCount: 10}
	s, _ := append(e.Lacks(), edits...).Apply(spec.New(rung, o))
	return s
}

// TestEngineOptions compares all options of a container of each rung.
func TestEngineOptions(t *testing.T) {
	root := t.TempDir()
	mounts := " --tmpfs=/tmp:nosuid,nodev,mode=1777,size=65536k"
	for name, want := range map[string]map[spec.Rung]string{
		"docker": {
			spec.Namespaces: "--pull=never --init=false --no-healthcheck --log-driver=none --ipc=private --network=none --cgroupns=private --userns=host" +
				" --workdir=/ --user=0:0 --env=A=b --hostname=cellwall --security-opt=label=disable --security-opt=apparmor=unconfined" +
				" --security-opt=no-new-privileges=false --cap-drop=ALL --cap-add=CAP_KILL --cap-add=CAP_SYS_ADMIN --security-opt=systempaths=unconfined" +
				" --security-opt=seccomp=unconfined --sysctl=net.ipv4.ip_unprivileged_port_start=1024 --sysctl=net.ipv4.ping_group_range=1 0" +
				" --device-cgroup-rule=a *:* rwm --shm-size=67108864" + mounts + ",nr_inodes=4096,exec --pids-limit=-1",
			spec.Hardened: "--pull=never --init=false --no-healthcheck --log-driver=none --ipc=private --network=none --cgroupns=private --userns=host" +
				" --workdir=/ --user=0:0 --env=A=b --hostname=cellwall --security-opt=label=disable --security-opt=apparmor=unconfined" +
				" --security-opt=no-new-privileges=true --cap-drop=ALL --cap-add=CAP_KILL --security-opt=seccomp=/d/seccomp.json" +
				" --sysctl=net.ipv4.ip_unprivileged_port_start=1024 --sysctl=net.ipv4.ping_group_range=1 0" +
				" --device-cgroup-rule=c 1:3 rwm --device-cgroup-rule=c 1:5 rwm --device-cgroup-rule=c 1:7 rwm --device-cgroup-rule=c 1:8 rwm" +
				" --device-cgroup-rule=c 1:9 rwm --device-cgroup-rule=c 5:0 rwm --device-cgroup-rule=c 5:1 rwm --device-cgroup-rule=c 5:2 rwm" +
				" --device-cgroup-rule=c 136:* rwm --shm-size=67108864" + mounts + ",nr_inodes=4096,exec" +
				" --cpu-period=100000 --cpu-quota=100000 --cpu-shares=1024 --memory=268435456 --memory-swap=268435456 --pids-limit=256" +
				" --ulimit=core=1:1 --ulimit=memlock=65536:65536 --ulimit=msgqueue=819200:819200 --ulimit=nofile=1024:1024 --ulimit=sigpending=1024:1024",
		},
		"podman": {
			spec.Hardened: "--cgroups=no-conmon --no-hosts --systemd=false --sdnotify=ignore --http-proxy=false --read-only-tmpfs=false" +
				" --log-driver=none --ipc=private --network=none --cgroupns=private --uidmap=0:5000:10 --gidmap=0:5000:10" +
				" --workdir=/ --user=0:0 --env=A=b --hostname=cellwall --security-opt=label=disable --security-opt=apparmor=unconfined" +
				" --security-opt=no-new-privileges --cap-drop=ALL --cap-add=CAP_KILL" +
				" --security-opt=unmask=/proc/acpi:/proc/asound:/proc/interrupts:/proc/kcore:/proc/keys:/proc/latency_stats:/proc/sched_debug:/proc/scsi" +
				":/proc/timer_list:/proc/timer_stats:/sys/dev/block:/sys/devices/system/cpu/*/thermal_throttle:/sys/devices/virtual/powercap:/sys/firmware:/sys/fs/selinux" +
				" --security-opt=mask=/proc/acpi:/proc/asound:/proc/interrupts:/proc/kcore:/proc/keys:/proc/latency_stats:/proc/sched_debug:/proc/scsi" +
				":/proc/timer_list:/proc/timer_stats:/sys/devices/virtual/powercap:/sys/firmware --security-opt=seccomp=/d/seccomp.json" +
				" --shm-size=67108864" + mounts + ",exec,notmpcopyup" +
				" --cpu-period=100000 --cpu-quota=100000 --cpu-shares=1024 --memory=268435456 --memory-swap=268435456 --pids-limit=256" +
				" --ulimit=core=1:1 --ulimit=memlock=65536:65536 --ulimit=msgqueue=819200:819200 --ulimit=nofile=1024:1024 --ulimit=sigpending=1024:1024",
		},
	} {
		e := someEngine(name, "27.0.1")
		for rung, line := range want {
			s := engineSpec(e, rung, root)
			s.Process.Env = []string{"A=b"}
			e.limits = nil // they are the launcher's
			got, err := e.options(Bundle{Spec: s}, "/d")
			if err != nil || strings.Join(got, " ") != line {
				t.Errorf("%s at %s: %v\n%s, want\n%s", name, rung, err, strings.Join(got, " "), line)
			}
		}
	}
}

// TestEngineOption changes one thing at a time, and looks for its options.
func TestEngineOption(t *testing.T) {
	root := t.TempDir()
	change := func(f func(*specs.Spec)) spec.Edit { return spec.Change("", f) }
	resources := func(r specs.LinuxResources) spec.Edit {
		return change(func(s *specs.Spec) { r.Devices = s.Linux.Resources.Devices; s.Linux.Resources = &r })
	}
	major, minor, all := int64(7), int64(3), int64(-1)
	noUser := spec.WithoutNamespace(specs.UserNamespace)
	both := []string{"docker", "podman"}
	for _, c := range []struct {
		engines []string
		version string
		edit    spec.Edit
		want    string
	}{
		{both, "27.0", change(func(s *specs.Spec) { s.Root.Readonly = true }), "--read-only"},
		{both, "27.0", change(func(s *specs.Spec) { s.Process.Cwd = "/w" }), "--workdir=/w"},
		{both, "27.0", change(func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{4, 5} }), "--group-add=4 --group-add=5"},
		{both, "27.0", change(func(s *specs.Spec) { n := -5; s.Process.OOMScoreAdj = &n }), "--oom-score-adj=-5"},
		{[]string{"podman"}, "4.3.1", change(func(s *specs.Spec) { s.Process.User.Umask = new(uint32(0o77)) }), "--umask=0077"},
		{[]string{"docker"}, "27.0", change(func(s *specs.Spec) { s.Process.User.UID, s.Process.User.GID = 3, 4 }), "--user=3:4"},
		{both, "27.0", spec.WithoutNamespace(specs.UTSNamespace), "--uts=host"},
		{both, "27.0", spec.WithoutNamespace(specs.CgroupNamespace), "--cgroupns=host"},
		{[]string{"docker"}, "27.0", spec.WithoutNamespace(specs.PIDNamespace), "--pid=host"},
		{[]string{"docker"}, "27.0", spec.WithoutNamespace(specs.NetworkNamespace), "--network=host"},
		{[]string{"podman"}, "4.3.1", spec.JoinNamespace(specs.UTSNamespace, "/n"), "--uts=ns:/n"},
		{[]string{"podman"}, "4.3.1", spec.JoinNamespace(specs.NetworkNamespace, "/n"), "--network=ns:/n --cgroupns=private --dns=none"},
		{both, "27.0", change(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.x": "1", "kernel.sem": "2"} }), "--sysctl=kernel.sem=2"},
		{[]string{"docker"}, "27.0", change(func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 9"}
		}), "--sysctl=net.ipv4.ping_group_range=0 9"},
		{both, "27.0", spec.WithRlimit("RLIMIT_FSIZE", unix.RLIM_INFINITY), "--ulimit=fsize=-1:-1"},
		{both, "27.0", resources(specs.LinuxResources{}), "--pids-limit=-1"},
		{both, "27.0", resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0-1", Mems: "0"}}), "--cpuset-cpus=0-1 --cpuset-mems=0"},
		{both, "27.0", resources(specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(20))}}), "--blkio-weight=20"},
		{both, "27.0", resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: new(int64(9)), DisableOOMKiller: new(true)}}), "--oom-kill-disable=true --memory-reservation=9"},
		{[]string{"podman"}, "4.3.1", resources(specs.LinuxResources{Unified: map[string]string{"memory.high": "5"}}), "--cgroup-conf=memory.high=5"},
		{[]string{"podman"}, "4.3.1", resources(specs.LinuxResources{Unified: map[string]string{"cpuset.cpus": "0,1"}}), `--cgroup-conf="cpuset.cpus=0,1"`},
		{both, "27.0", change(func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1, Minor: 3}}
		}), "--device=/d/device-0:/dev/x:rwm"},
		{both, "27.0", change(func(s *specs.Spec) {
			noUser.Apply(s)
			s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "b", Major: &major, Minor: &minor, Access: "r"}, {Allow: true, Access: "m", Minor: &all}}
		}), "--device-cgroup-rule=b 7:3 r --device-cgroup-rule=a *:* m"},
		{both, "27.0", change(func(s *specs.Spec) { noUser.Apply(s); s.Linux.Resources.Devices = nil }), "--device-cgroup-rule=a *:* rwm"},
		{both, "27.0", change(func(s *specs.Spec) {
			noUser.Apply(s)
			s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		}), "--device-cgroup-rule=a *:* rwm"},
		{[]string{"docker"}, "27.0", change(func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil }), "--security-opt=systempaths=unconfined"},
		{[]string{"podman"}, "4.3.1", change(func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/a"} }), "--security-opt=mask=/a"},
		{both, "27.0", spec.WithMount(specs.Mount{Destination: "/t", Type: "tmpfs", Options: []string{"noexec", "size=64k"}}), "--tmpfs=/t:noexec,size=64k,suid,dev"},
		{[]string{"docker"}, "27.0", spec.WithMount(spec.Bind(root, "/v")), "--mount=type=bind,source=" + root + ",target=/v"},
		{[]string{"docker"}, "27.0", spec.WithMount(spec.Bind(root, "/v,w", "ro", "private")), `--mount=type=bind,source=` + root + `,"target=/v,w",readonly,bind-recursive=writable,bind-propagation=private`},
		{[]string{"docker"}, "20.10.24+dfsg1", spec.WithMount(spec.Bind(root, "/v", "ro")), "--mount=type=bind,source=" + root + ",target=/v,readonly "},
		{[]string{"docker"}, "25.0.0", spec.WithMount(spec.Bind(root, "/v", "rro")), "readonly,bind-recursive=readonly,bind-propagation=rprivate"},
		{[]string{"docker"}, "25.0.0", spec.WithMount(specs.Mount{Source: root, Destination: "/v", Type: "bind", Options: []string{"bind", "ro"}}), "bind-recursive=disabled,readonly"},
		{[]string{"docker"}, "24.0.7", spec.WithMount(specs.Mount{Source: root, Destination: "/v", Type: "bind", Options: []string{"bind"}}), "target=/v,bind-nonrecursive"},
		{[]string{"podman"}, "4.3.1", spec.WithMount(spec.Bind(root, "/v", "ro", "nosuid")), "--volume=" + root + ":/v:ro,nosuid,rbind"},
		{[]string{"podman"}, "4.3.1", spec.WithMount(specs.Mount{Source: "/dev/null", Destination: "/v", Type: "bind", Options: []string{"bind"}}), "--volume=/dev/null:/v:rbind"},
		{[]string{"podman"}, "4.3.1", spec.WithMount(specs.Mount{Source: root, Destination: "/v", Type: "bind", Options: []string{"bind"}}), "--volume=" + root + ":/v:bind"},
	} {
		for _, name := range c.engines {
			e := someEngine(name, c.version)
			got, err := e.options(Bundle{Spec: engineSpec(e, spec.Hardened, root, c.edit)}, "/d")
			if err != nil || !strings.Contains(strings.Join(got, " ")+" ", c.want) {
				t.Errorf("%s: %v\n%s\nhas no\n%s", name, err, strings.Join(got, " "), c.want)
			}
		}
	}
}

// TestEngineGivesItsOwnLimits to a podman that would raise them, unless a spec has others, and of processes no more than
// podman's own.
func TestEngineGivesItsOwnLimits(t *testing.T) {
	e := someEngine("podman", "4.3.1")
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &own); err != nil {
		t.Fatal(err)
	}
	most, err := kernel.SysctlInt("kernel.pid_max")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{rlimitOption("nofile", 7, 7), rlimitOption("nproc", min(own.Cur, uint64(most)), min(own.Max, uint64(most)))}
	if got := e.rlimitOptions([]specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 7, Hard: 7}}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := someEngine("docker", "27.0").rlimitOptions(nil); len(got) > 0 {
		t.Errorf("docker is told %q", got)
	}
}

func TestBlockDevice(t *testing.T) {
	names, err := filepath.Glob("/sys/dev/block/*")
	if err != nil || len(names) == 0 {
		t.Skip("no block device")
	}
	var st unix.Stat_t
	major, minor, _ := strings.Cut(filepath.Base(names[0]), ":")
	var numbers [2]int64
	for i, text := range []string{major, minor} {
		n, err := bytesOf(text)
		if err != nil {
			t.Fatal(err)
		}
		numbers[i] = int64(n)
	}
	path, err := blockDevice(numbers[0], numbers[1])
	if err != nil || !strings.HasPrefix(path, "/dev/") {
		t.Errorf("%s is %q, %v", names[0], path, err)
	}
	if unix.Stat(path, &st) == nil && (int64(unix.Major(st.Rdev)) != numbers[0] || int64(unix.Minor(st.Rdev)) != numbers[1]) {
		t.Errorf("%s is not %s", path, names[0])
	}
	if path, err := blockDevice(4095, 1); !errors.Is(err, kernel.ErrNotSupported) {
		t.Errorf("a device that is not there: %q, %v", path, err)
	}
}

func TestPodmanConfigurationIsOwn(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	e := someEngine("podman", "4.3.1")
	c := &engineContainer{engine: e, dir: dir, run: filepath.Join(dir, "run"), bundle: Bundle{Spec: engineSpec(e, spec.Hardened, root)}}
	if err := c.writeFiles(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		podmanConf: "lock_type = \"file\"", podmanStorage: "graphroot = \"" + dir, seccompFile: "\"defaultAction\"",
		"root/run/.containerenv": "", "root/etc/hostname": "",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%.300s\nhas no %s", name, err, text, want)
		}
	}
	for _, o := range append(e.global(c), e.env(dir)...) {
		name, value, ok := strings.Cut(o, "=")
		if ok && name != "--runtime" && strings.HasPrefix(value, "/") && !strings.HasPrefix(value, dir+"/") {
			t.Errorf("%s lies elsewhere: %s", name, value)
		}
	}
}

// TestEngineCgroupMount says that a cgroup mount can be writable where podman can make it so, and in no other way.
func TestEngineCgroupMount(t *testing.T) {
	mount := func(options ...string) spec.Edit {
		return spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: options})
	}
	own := []string{"nosuid", "noexec", "nodev"}
	for _, c := range []struct {
		name, option string
		edit         spec.Edit
		want         bool
	}{
		{"podman", "--x", mount(own...), true},
		{"podman", "", mount(own...), false},
		{"podman", "--x", mount("nosuid"), false},
		{"podman", "--x", mount(append(own, "relatime")...), false},
		{"podman", "--x", spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "tmpfs", Options: own}), false},
		{"podman", "--x", spec.WithMount(specs.Mount{Destination: "/sys", Type: "sysfs", Options: own}), false},
		{"docker", "", mount(own...), false},
	} {
		e := someEngine(c.name, "99")
		if c.name == "podman" {
			e.writable = func() string { return c.option }
		}
		a, err := e.mountOptions(engineSpec(e, spec.Namespaces, t.TempDir(), c.edit))
		if got := err == nil && slices.Contains(a, "--x"); got != c.want || !c.want && !errors.Is(err, kernel.ErrNotSupported) {
			t.Errorf("%s with %q and %v: %v, %v", c.name, c.option, c.edit, a, err)
		}
	}
	e := someEngine("podman", "99")
	e.writable = func() string { return "--x" }
	if a, err := e.mountOptions(engineSpec(e, spec.Namespaces, t.TempDir(), mount(append(own, "ro")...))); err != nil || slices.Contains(a, "--x") {
		t.Errorf("a read-only one: %v, %v", a, err)
	}
	// Mounts of the same place lie over each other: the last one counts.
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	unified := false
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); f[4] == "/sys/fs/cgroup" {
			unified = strings.Contains(line, " - cgroup2 ")
		}
	}
	if got := podmanWritable(); (got == "--security-opt=unmask=/sys/fs/cgroup") != unified || (got == "") == unified {
		t.Errorf("%q where cgroup2 at /sys/fs/cgroup is %v", got, unified)
	}
}

// TestPodmanDevicesOfUserNamespace has no rule there: newer versions refuse them.
func TestPodmanDevicesOfUserNamespace(t *testing.T) {
	e := someEngine("podman", "5.0")
	for _, rules := range [][]specs.LinuxDeviceCgroup{nil, {{Allow: true, Access: "rwm"}}} {
		s := engineSpec(e, spec.Hardened, t.TempDir(), spec.Change("", func(s *specs.Spec) { s.Linux.Resources.Devices = rules }))
		if a, err := e.deviceOptions(s, "/d"); err != nil || len(a) > 0 {
			t.Errorf("%v: %q, %v", rules, a, err)
		}
	}
}

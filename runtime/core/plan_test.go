package core_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// goldenHost is a host on paper: plans are pure, so they are the same everywhere.
var goldenHost = core.Host{LastCapability: 40, MountSetattr: true, TimeAtExec: true, Tasks: []string{"cpu", "memory", "pids"}}

func allCapabilities() []string {
	var names []string
	for c := range 41 {
		names = append(names, kernel.CapabilityName(c))
	}
	return names
}

func goldenSpec(r spec.Rung) *specs.Spec {
	return spec.New(r, spec.Options{
		Rootfs: "/bundle/rootfs", Args: []string{"sh", "-c", "true"},
		Capabilities: allCapabilities(), HostID: 100_000, IDCount: 65_536,
	})
}

// TestPlanOfEachRung pins the plan of each rung as `cellwall explain` prints it. Compile is
// pure, so this needs no privilege.
func TestPlanOfEachRung(t *testing.T) {
	for _, r := range spec.Ladder() {
		t.Run(string(r), func(t *testing.T) {
			plan, err := core.Compile(core.Request{Spec: goldenSpec(r), Host: goldenHost})
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := plan.Explain(&got); err != nil {
				t.Fatal(err)
			}
			golden(t, "plan-"+string(r)+".txt", got.Bytes())
		})
	}
}

// filterLength follows from moby's profile, which may change with its module and no plan does.
var filterLength = regexp.MustCompile(`filter of \d+ instructions`)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	got = filterLength.ReplaceAll(got, []byte("filter of NNN instructions"))
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil { // a golden
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (rewrite with -update):\n%s", path, got)
	}
}

// TestOldKernelPlans: without mount_setattr and without time namespaces at exec the plan takes
// other calls, and never fewer walls.
func TestOldKernelPlans(t *testing.T) {
	old := goldenHost
	old.MountSetattr, old.TimeAtExec = false, false
	plan, err := core.Compile(core.Request{Spec: goldenSpec(spec.Hardened), Host: old})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := plan.Explain(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"join time namespace", "make /proc/sys read-only"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no step %q in\n%s", want, &text)
		}
	}
	const cloneVM = 0x100
	if plan.Flags&cloneVM != 0 {
		t.Error("the child shares memory, in which it cannot join a time namespace")
	}
}

// TestSharedMemory: the child shares the launcher's memory only where that cannot harm it.
func TestSharedMemory(t *testing.T) {
	const cloneVM = 0x100
	small, large, score := int64(1<<20), int64(1<<30), 500
	for _, c := range []struct {
		name   string
		change func(*specs.Spec)
		shared bool
	}{
		{name: "hardened", change: func(*specs.Spec) {}, shared: true},
		{name: "a large limit", change: func(s *specs.Spec) { s.Linux.Resources.Memory.Limit = &large }, shared: true},
		{name: "a limit that the plan itself may meet", change: func(s *specs.Spec) { s.Linux.Resources.Memory.Limit = &small }},
		{name: "an OOM score", change: func(s *specs.Spec) { s.Process.OOMScoreAdj = &score }},
		{name: "a memory policy", change: func(s *specs.Spec) { s.Linux.Resources.CPU.Mems = "0" }},
		{name: "the host's pid namespace", change: func(s *specs.Spec) { spec.WithoutNamespace(specs.PIDNamespace).Apply(s) }},
		{name: "another's pid namespace", change: func(s *specs.Spec) { spec.JoinNamespace(specs.PIDNamespace, "/proc/1/ns/pid").Apply(s) }},
	} {
		s := goldenSpec(spec.Hardened)
		c.change(s)
		plan, err := core.Compile(core.Request{Spec: s, Host: goldenHost})
		if err != nil {
			t.Fatal(err)
		}
		if shared := plan.Flags&cloneVM != 0; shared != c.shared {
			t.Errorf("%s: shared %v, want %v", c.name, shared, c.shared)
		}
	}
}

// TestPlanOfExec pins the plan of a process that joins a hardened container.
func TestPlanOfExec(t *testing.T) {
	s := goldenSpec(spec.Hardened)
	plan, err := core.CompileExec(s, core.DefaultProcess(s, []string{"ls", "/"}), goldenHost, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := plan.Explain(&got); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan-exec.txt", got.Bytes())
}

// TestOmitNamesAStep: an edit that leaves out a step that is not there proves nothing.
func TestOmitNamesAStep(t *testing.T) {
	_, err := core.Compile(core.Request{Spec: goldenSpec(spec.Hardened), Host: goldenHost, Omit: []string{"pivot-roof"}})
	if err == nil || !strings.Contains(err.Error(), "pivot-roof") {
		t.Errorf("omitting a step that no plan has: %v, want an error that names it", err)
	}
	with, err := core.Compile(core.Request{Spec: goldenSpec(spec.Hardened), Host: goldenHost})
	if err != nil {
		t.Fatal(err)
	}
	without, err := core.Compile(core.Request{Spec: goldenSpec(spec.Hardened), Host: goldenHost, Omit: []string{"session-keyring"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(with.Steps) != len(without.Steps)+1 {
		t.Errorf("%d steps with, %d without the keyring: want one less", len(with.Steps), len(without.Steps))
	}
}

// TestHostileSpecs: what comes from a file is refused by name, and never half done.
func TestHostileSpecs(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(*specs.Spec)
		want        string
		unsupported bool
	}{
		{name: "no process", change: func(s *specs.Spec) { s.Process = nil }, want: "process"},
		{name: "no program", change: func(s *specs.Spec) { s.Process.Args = nil }, want: "process.args"},
		{name: "relative cwd", change: func(s *specs.Spec) { s.Process.Cwd = "../.." }, want: "process.cwd"},
		{name: "relative root", change: func(s *specs.Spec) { s.Root.Path = "rootfs" }, want: "root.path"},
		{name: "NUL in an argument", change: func(s *specs.Spec) { s.Process.Args = []string{"a\x00b"} }, want: "NUL"},
		{name: "NUL in a mount", change: func(s *specs.Spec) { s.Mounts[0].Destination = "/a\x00" }, want: "NUL"},
		{name: "unknown namespace", change: func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "moon" }, want: "moon"},
		{name: "namespace twice", change: func(s *specs.Spec) { s.Linux.Namespaces = append(s.Linux.Namespaces, s.Linux.Namespaces[0]) }, want: "twice"},
		{name: "mapping missing", change: func(s *specs.Spec) { s.Linux.UIDMappings = nil }, want: "uidMappings"},
		{name: "mount over the root", change: func(s *specs.Spec) { s.Mounts[0].Destination = "/../" }, want: "is the root"},
		{name: "relative bind source", change: func(s *specs.Spec) { s.Mounts = append(s.Mounts, spec.Bind("../etc", "/x")) }, want: "../etc"},
		{name: "unknown bind option", change: func(s *specs.Spec) { s.Mounts = append(s.Mounts, spec.Bind("/etc", "/x", "rww")) }, want: "rww"},
		{name: "unknown capability", change: func(s *specs.Spec) { s.Process.Capabilities.Bounding = []string{"CAP_MOON"} }, want: "CAP_MOON"},
		{name: "unknown rlimit", change: func(s *specs.Spec) { s.Process.Rlimits[0].Type = "RLIMIT_MOON" }, want: "RLIMIT_MOON"},
		{name: "sysctl that climbs", change: func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"../../x": "1"} }, want: "sysctl"},
		{name: "sysctl of the host", change: func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.core_pattern": "x"} }, want: "would change the host"},
		{name: "sysctl of a joined namespace", change: func(s *specs.Spec) {
			for i := range s.Linux.Namespaces {
				if s.Linux.Namespaces[i].Type == specs.NetworkNamespace {
					s.Linux.Namespaces[i].Path = "/proc/1/ns/net"
				}
			}
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		}, want: "new network namespace"},
		{name: "device outside /dev", change: func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/../etc/x", Type: "c"}}
		}, want: "not below /dev"},
		{name: "mounts without a mount namespace", change: func(s *specs.Spec) {
			s.Linux.Namespaces = s.Linux.Namespaces[1:]
		}, want: "need a mount namespace"},
		{name: "host name without a uts namespace", change: func(s *specs.Spec) {
			s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UserNamespace}}
		}, want: "host's"},
		{name: "SELinux label", change: func(s *specs.Spec) { s.Process.SelinuxLabel = "x" }, want: "SELinux", unsupported: true},
		{name: "hook inside", change: func(s *specs.Spec) { s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/x"}}} }, want: "hooks", unsupported: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := goldenSpec(spec.Hardened)
			c.change(s)
			_, err := core.Compile(core.Request{Spec: s, Host: goldenHost})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want one line with %q", err, c.want)
			}
			if got := errors.Is(err, kernel.ErrNotSupported); got != c.unsupported {
				t.Errorf("not supported: %v, want %v", got, c.unsupported)
			}
		})
	}
}

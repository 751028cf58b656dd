package spec_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

var options = spec.Options{
	Rootfs: "/bundle/rootfs", Args: []string{"/program", "argument"},
	Capabilities: []string{"CAP_KILL", "CAP_SYS_ADMIN", "CAP_AUDIT_WRITE"},
	HostID:       1 << 20, IDCount: 1 << 16,
}

func text(t *testing.T, s *specs.Spec) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEditsAreNotChanged: what later edits do to a spec must not come back to the edits before, which the
// next trial applies again.
func TestEditsAreNotChanged(t *testing.T) {
	edits := spec.Edits{
		spec.WithMount(specs.Mount{
			Destination: "/data", Type: "tmpfs", Options: []string{"ro", "nosuid"},
			UIDMappings: []specs.LinuxIDMapping{{Size: 1}}, GIDMappings: []specs.LinuxIDMapping{{Size: 1}},
		}),
		spec.Allowing("bpf", "mount"),
		spec.Allowing("bpf"),
		spec.Change("other options", func(s *specs.Spec) {
			m := &s.Mounts[len(s.Mounts)-1]
			m.Options[0], m.UIDMappings[0].Size, m.GIDMappings[0].Size = "rw", 2, 2
		}),
	}
	original := spec.New(spec.Hardened, options)
	made, _ := edits[:2].Apply(original)
	first := text(t, made)
	edits.Apply(original)
	made, _ = edits[:2].Apply(original)
	if again := text(t, made); again != first {
		t.Errorf("the edits make\n%s\nand made\n%s", again, first)
	}
}

// TestEditsChangeACopy: an edit that changes nothing would make a control that proves nothing,
// and one that changes its original would leak from one trial into the next.
func TestEditsChangeACopy(t *testing.T) {
	edits := spec.Edits{
		spec.WithCapability("CAP_SYS_PTRACE"),
		spec.WithMount(spec.Bind("/srv", "/srv", "ro")),
		spec.WithMount(spec.Bind("/srv", "/proc", "ro")), // in the place of another
		spec.WithoutMount("/proc"),
		spec.JoinNamespace(specs.PIDNamespace, "/proc/1/ns/pid"),
		spec.JoinNamespace(specs.TimeNamespace, "/proc/1/ns/time"),
		spec.Unconfined(),
		spec.Allowing("bpf"),
		spec.WithRlimit("RLIMIT_NOFILE", 7),
		spec.HostRootDirectory(),
	}
	original := spec.New(spec.Hardened, options)
	for _, n := range original.Linux.Namespaces {
		edits = append(edits, spec.WithoutNamespace(n.Type))
	}
	before := text(t, original)
	for _, e := range edits {
		edited, omit := spec.Edits{e}.Apply(original)
		if e.Name == "" || len(omit) > 0 {
			t.Errorf("edit %q omits %q", e.Name, omit)
		}
		if text(t, edited) == before {
			t.Errorf("with %s the spec is what it was", e.Name)
		}
		if after := text(t, original); after != before {
			t.Fatalf("with %s the original became\n%s\nit was\n%s", e.Name, after, before)
		}
	}
	if same, omit := (spec.Edits{spec.Omitting("no keyring", "session-keyring")}).Apply(original); text(t, same) != before || !slices.Equal(omit, []string{"session-keyring"}) {
		t.Errorf("an omission omits %q and gives\n%s", omit, text(t, same))
	}
}

// TestHostNamespaceTakesAlongWhatWouldChangeTheHost: in the host's uts namespace the container's
// name would be the host's.
func TestHostNamespaceTakesAlongWhatWouldChangeTheHost(t *testing.T) {
	s := spec.New(spec.Hardened, options)
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
	for _, n := range []specs.LinuxNamespaceType{specs.UTSNamespace, specs.UserNamespace, specs.MountNamespace} {
		spec.WithoutNamespace(n).Apply(s)
	}
	if s.Hostname != "" || s.Mounts != nil || s.Linux.MaskedPaths != nil || s.Linux.Sysctl != nil || s.Linux.UIDMappings != nil {
		t.Errorf("left: %s", text(t, s))
	}
}

func TestStandInOnlyForTheHosts(t *testing.T) {
	s := spec.New(spec.Hardened, options)
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace })
	for _, n := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace} {
		spec.StandIn(n, "/sacrifice").Apply(s)
	}
	paths := map[specs.LinuxNamespaceType]string{}
	for _, n := range s.Linux.Namespaces {
		paths[n.Type] += n.Path
	}
	if paths[specs.PIDNamespace] != "" || paths[specs.NetworkNamespace] != "/sacrifice" {
		t.Errorf("namespaces %v", s.Linux.Namespaces)
	}
}

// TestAllowingLiftsEveryRule: a call that one rule allows and another still tests is not allowed.
func TestAllowingLiftsEveryRule(t *testing.T) {
	s := spec.New(spec.Hardened, options)
	s.Linux.Seccomp.Syscalls = []specs.LinuxSyscall{
		{Names: []string{"clone", "read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}}},
		{Names: []string{"clone"}, Action: specs.ActErrno},
	}
	spec.Allowing("clone").Apply(s)
	for _, r := range s.Linux.Seccomp.Syscalls {
		if slices.Contains(r.Names, "clone") && (r.Action != specs.ActAllow || len(r.Args) > 0) {
			t.Errorf("rule %+v is left", r)
		}
	}
	if r := s.Linux.Seccomp.Syscalls[0]; !slices.Equal(r.Names, []string{"read"}) || len(r.Args) != 1 {
		t.Errorf("the rule of another call became %+v", r)
	}
}

func TestLadder(t *testing.T) {
	last := ""
	for i, r := range spec.Ladder() {
		parsed, err := spec.ParseRung(string(r))
		if parsed != r || err != nil || r.Adds() == "" {
			t.Errorf("rung %q: parsed as %q, %v, and adds %q", r, parsed, err, r.Adds())
		}
		for j, other := range spec.Ladder() {
			if r.Covers(other) != (j <= i) {
				t.Errorf("%s covers %s: %v", r, other, r.Covers(other))
			}
		}
		if !r.Covers(spec.Runtime) {
			t.Errorf("%s does not cover what every runtime must hold", r)
		}
		s := spec.New(r, options)
		if text(t, s) == last {
			t.Errorf("%s is the rung below it", r)
		}
		last = text(t, s)
		for _, c := range s.Process.Capabilities.Bounding {
			if !slices.Contains(options.Capabilities, c) {
				t.Errorf("%s asks for %s, which the launcher does not hold", r, c)
			}
		}
	}
	for _, name := range []string{"", "runtime", "Hardened", "bare "} {
		if r, err := spec.ParseRung(name); err == nil {
			t.Errorf("rung %q is parsed as %q", name, r)
		}
	}
}

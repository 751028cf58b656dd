package driver_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// newRunsc is a program with the command line of runsc that notes its calls, and has runc make the container.
func newRunsc(t *testing.T, flags string) (path, calls string) {
	t.Helper()
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	path, calls = filepath.Join(dir, "runsc"), filepath.Join(dir, "calls")
	check(t, os.WriteFile(path, []byte(`#!/bin/sh
case $1 in
--version) echo runsc version release-20240401.0; echo spec: 1.1.0-rc.1; exit ;;
flags) echo "`+flags+`" >&2; exit ;;
features) exit 1 ;;
esac
echo "$@" >>`+calls+`
for a; do
	shift
	case $a in --network=*|--gofer-network-namespace=*) ;; *) set -- "$@" "$a" ;; esac
done
exec `+runc+` "$@"
`), 0o755))
	return path, calls
}

func TestRunscIsToldItsNetwork(t *testing.T) {
	for _, c := range []struct {
		name, flags string
		edits       spec.Edits
		want        string
	}{
		{name: "of its own", flags: "  -gofer-network-namespace value", want: "--network=none --gofer-network-namespace=new"},
		{name: "an older one", flags: "  -network value", want: "--network=none"},
		{name: "the host's", flags: "  -network value", want: "--network=host", edits: spec.Edits{
			spec.WithoutNamespace(specs.NetworkNamespace), spec.WithoutMount("/sys"), // sysfs is of the network namespace
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, "exit")
			path, calls := newRunsc(t, c.flags)
			rt := s.find(t, "runsc="+path)
			if v, err := rt.Version(t.Context()); v != "release-20240401.0" || err != nil {
				t.Errorf("version %q, %v", v, err)
			}
			if s.bundle.Spec.Linux.Seccomp != nil || len(s.bundle.Spec.Linux.MaskedPaths)+len(s.bundle.Spec.Linux.ReadonlyPaths) > 0 {
				t.Error("it is to be told what it passes over")
			}
			s.bundle.Spec, _ = c.edits.Apply(s.bundle.Spec)
			container, err := rt.Create(t.Context(), s.bundle)
			check(t, err)
			check(t, container.Start(t.Context()))
			if status, err := container.Wait(t.Context()); err != nil || status.Code != 7 {
				t.Errorf("ended: %+v, %v", status, err)
			}
			check(t, container.Delete(t.Context()))
			s.clean(t)
			raw, err := os.ReadFile(calls)
			check(t, err)
			lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
			for i, verb := range []string{"create", "start", "delete"} {
				if i >= len(lines) || !strings.Contains(lines[i], "--log-format json "+c.want+" "+verb+" ") {
					t.Errorf("call %d of %q is not %s with %s", i, lines, verb, c.want)
				}
			}
		})
	}
}

func TestRunscExpresses(t *testing.T) {
	s := newStand(t, "exit")
	path, _ := newRunsc(t, "")
	rt := s.find(t, "runsc="+path)
	check(t, rt.Expresses(s.bundle))
	if !driver.Sandboxed(rt) {
		t.Error("it is no sandbox")
	}
	for want, edit := range map[string]spec.Edit{
		"share no pid namespace": spec.WithoutNamespace(specs.PIDNamespace),
		"share no ipc namespace": spec.WithoutNamespace(specs.IPCNamespace),
		"share no uts namespace": spec.WithoutNamespace(specs.UTSNamespace),
		"joins no network":       spec.JoinNamespace(specs.NetworkNamespace, "/proc/self/ns/net"),
		"linux.seccomp over":     spec.Change("", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} }),
		"cpu.burst over": spec.Change("", func(s *specs.Spec) {
			burst := uint64(1000)
			s.Linux.Resources.CPU = &specs.LinuxCPU{Burst: &burst}
		}),
		"blkio.weight": spec.Change("", func(s *specs.Spec) {
			weight := uint16(100)
			s.Linux.Resources.BlockIO = &specs.LinuxBlockIO{Weight: &weight}
		}),
		"linux.maskedPaths":       spec.Change("", func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/proc/keys"} }),
		"linux.readonlyPaths":     spec.Change("", func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"/proc/sys"} }),
		"has no time namespaces":  spec.JoinNamespace(specs.TimeNamespace, ""),
		"makes no container in t": spec.HostRootDirectory(),
	} {
		b := s.bundle
		b.Spec, _ = spec.Edits{edit}.Apply(s.bundle.Spec)
		if err := rt.Expresses(b); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestFlagsMustBeTold: without an answer runsc would be left to mount where nobody unmounts.
func TestFlagsMustBeTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runsc")
	check(t, os.WriteFile(path, []byte("#!/bin/sh\n[ $1 = flags ] && exit 1\nexec echo runsc version release-20240401.0\n"), 0o755))
	if _, err := driver.Find(t.Context(), "runsc="+path, nil); err == nil || !strings.Contains(err.Error(), "for its flags: exit status 1") {
		t.Errorf("one that does not say: %v", err)
	}
}

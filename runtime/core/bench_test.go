package core_test

import (
	"os/exec"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// minimal is what the C program of testdata/limit.c makes: all namespaces, pivot_root, /proc.
func (f *fixture) minimal(args ...string) *specs.Spec {
	o := f.options
	o.Args = args
	s := spec.New(spec.Namespaces, o)
	s.Mounts = s.Mounts[:1]
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: o.HostID, Size: o.IDCount}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
	return s
}

func BenchmarkStartToExit(b *testing.B) {
	f := newFixture(b)
	s := f.minimal("/true")
	if out, err := exec.Command("cp", "/tmp/cw/true", f.options.Rootfs+"/true").CombinedOutput(); err != nil {
		b.Fatal(string(out))
	}
	for b.Loop() {
		c, err := f.launcher.Create("cellwall-b", core.Options{Spec: s, Parent: f.parent})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := c.Delete(); err != nil {
			b.Fatal(err)
		}
	}
}

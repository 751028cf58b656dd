package core_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// TestDeviceRules: that a device is made says nothing of who may open it. Its rules do.
func TestDeviceRules(t *testing.T) {
	f := newFixture(t)
	kmsg := specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11} // it is opened only
	for _, test := range []struct{ access, device, want string }{
		{access: "rw", device: "/dev/kmsg", want: "true true "},
		{access: "r", device: "/dev/kmsg", want: "true false "},
		{access: "", device: "/dev/kmsg", want: "false false "},
		{access: "r", device: "/dev/null", want: "true true "}, // the runtime's own
	} {
		rules := spec.Change("rules for "+test.device, func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{kmsg}
			s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
			if test.access != "" {
				s.Linux.Resources.Devices = append(s.Linux.Resources.Devices,
					specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &kmsg.Major, Minor: &kmsg.Minor, Access: test.access})
			}
		})
		if got, _ := f.run(t, spec.Limits, spec.Edits{rules}, "open", test.device); got != test.want {
			t.Errorf("with %q for /dev/kmsg the container opens %s to read and to write: %s, want %s", test.access, test.device, got, test.want)
		}
	}
}

// TestFIFO: it is made in /dev, also where devices are the host's.
func TestFIFO(t *testing.T) {
	f := newFixture(t)
	for _, rung := range []spec.Rung{spec.Namespaces, spec.Hardened} {
		made := spec.Change("a FIFO", func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/cellwall-fifo", Type: "p"}} })
		if got, _ := f.run(t, rung, spec.Edits{made}, "open", "/dev/cellwall-fifo"); got != "true true " {
			t.Errorf("%s: it opens to read and to write: %s", rung, got)
		}
	}
}

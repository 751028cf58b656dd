package core

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
)

// TestRemountsAreOfMountsAlone: a remount without MS_BIND changes the file system itself, and with it the host's
// own mount of it. Kernels before 5.12 have no mount_setattr(2), and remount.
func TestRemountsAreOfMountsAlone(t *testing.T) {
	s := spec.New(spec.Hardened, spec.Options{Rootfs: "/bundle/rootfs", Args: []string{"true"}, HostID: 100_000, IDCount: 65_536})
	s, _ = spec.Edits{
		spec.WithoutNamespace(specs.CgroupNamespace),
		spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid"}}),
		spec.WithMount(spec.Bind("/srv", "/srv", "ro")),
	}.Apply(s)
	for name, groups := range map[string][]CgroupMount{
		"v2":     {{Type: "cgroup2", Path: "/sys/fs/cgroup/x"}},
		"hybrid": {{Type: "cgroup", Name: "pids", Data: "pids", Path: "/sys/fs/cgroup/pids/x"}, {Type: "cgroup2", Name: "unified", Path: "/sys/fs/cgroup/unified/x"}},
	} {
		plan, err := Compile(Request{Spec: s, Host: Host{LastCapability: 40, TimeAtExec: true, Cgroups: groups}})
		if err != nil {
			t.Fatal(err)
		}
		remounts := 0
		for _, step := range plan.Steps {
			if step.number != unix.SYS_MOUNT || step.args[3].value&unix.MS_REMOUNT == 0 {
				continue
			}
			remounts++
			if step.args[3].value&unix.MS_BIND == 0 {
				t.Errorf("%s: %s: changes the file system", name, step.Text)
			}
		}
		if remounts < 2+len(groups) {
			t.Errorf("%s: only %d remounts", name, remounts)
		}
	}
}

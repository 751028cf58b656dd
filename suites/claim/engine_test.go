package claim

import (
	"slices"
	"testing"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// TestEngineClaims keeps the list of what an engine with the parts that it lacks does not claim, and is known to break
// itself.
func TestEngineClaims(t *testing.T) {
	noTime, noUser := spec.WithoutNamespace("time"), spec.WithoutNamespace("user")
	for name, c := range map[string]struct {
		lacks spec.Edits
		want  []string
	}{
		"podman": {spec.Edits{noTime, {Name: driver.Unfiltered}}, []string{
			"fs.host-mount", "fs.bundle-private", "process.own-namespaces", "process.init-death", "time.offset", "device.unlisted",
		}},
		"docker": {spec.Edits{noTime, noUser}, []string{
			"fs.host-mount", "fs.fd-reopen", "process.own-namespaces", "process.neighbour-namespaces", "process.init-death", "process.steal-fd",
			"user.root-unprivileged", "user.unmapped-ids", "user.setgroups-deny", "user.host-root-files", "user.setuid-plant", "user.file-caps-rootid",
			"time.offset", "kernel.cgroup-migrate", "pids.kill-fork-bomb", "pids.nproc-per-userns", "abstract.inotify", "abstract.keys", "abstract.namespaces",
		}},
	} {
		var got []string
		for _, g := range guarantee.All() {
			if e := Of(named{name: name, lacks: c.lacks}, "9.1", g.ID, spec.Hardened); e != nil {
				got = append(got, g.ID)
				if e.Known != (g.ID == "fs.bundle-private") {
					t.Errorf("%s: %s is known to fail: %v", name, g.ID, e.Known)
				}
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s does not claim %q, want %q", name, got, c.want)
		}
	}
}

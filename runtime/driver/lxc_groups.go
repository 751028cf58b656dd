package driver

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

// v2Alone and hasV2 say which hierarchies a group is in; of none at all anything is said.
func v2Alone(g *cgroup.Group) bool {
	return g == nil || !slices.ContainsFunc(g.Hierarchies(), func(h cgroup.Hierarchy) bool { return !h.V2 })
}

func hasV2(g *cgroup.Group) bool {
	return g == nil || slices.ContainsFunc(g.Hierarchies(), func(h cgroup.Hierarchy) bool { return h.V2 })
}

// lxcLimits are the files of cgroup v2 that limit a container, and the rules of its devices, which LXC makes a
// BPF program. Of v1 LXC is shown nothing: it would make groups in hierarchies that are none of ours.
func lxcLimits(b Bundle) ([]cgroup.File, error) {
	names, err := limitsOf(b.Spec.Linux.Resources)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	devices := slices.Contains(names, "devices")
	others := slices.DeleteFunc(names, func(n string) bool { return n == "devices" })
	if len(others) > 0 && !v2Alone(b.Parent) {
		return nil, kernel.Unsupported("lxc-execute sets cgroup limits, such as %s, on cgroup v2 alone", others[0])
	}
	if devices && !hasV2(b.Parent) {
		return nil, kernel.Unsupported("lxc-execute filters devices by cgroup v2")
	}
	l, err := cgroup.LimitsFromSpec(b.Spec.Linux.Resources)
	if err != nil {
		return nil, err
	}
	if l.IOWeight != 0 {
		return nil, kernel.Unsupported("lxc-execute takes files, and that of io.weight is another by the kernel's configuration")
	}
	files := l.Files()
	if devices {
		rules, err := lxcDevices(b.Spec.Linux.Resources.Devices)
		if err != nil {
			return nil, err
		}
		files = append(files, rules...)
	}
	return files, nil
}

// lxcDevices are the rules of an allowlist. After the first that denies all, LXC passes over those that deny
// (lxc.container.conf(5), CONTROL GROUPS).
func lxcDevices(rules []specs.LinuxDeviceCgroup) ([]cgroup.File, error) {
	every := func(n *int64) bool { return n == nil || *n < 0 }
	number := func(n *int64) string {
		if every(n) {
			return "*"
		}
		return strconv.FormatInt(*n, 10)
	}
	all := func(r specs.LinuxDeviceCgroup) bool {
		return (r.Type == "" || r.Type == "a") && every(r.Major) && every(r.Minor) && (r.Access == "" || r.Access == "rwm")
	}
	if r := rules[0]; r.Allow || !all(r) {
		return nil, kernel.Unsupported("lxc-execute has device rules that deny all first")
	}
	files := []cgroup.File{{Name: "devices.deny", Value: "a"}}
	for _, r := range rules[1:] {
		if !r.Allow || r.Type != "c" && r.Type != "b" {
			return nil, kernel.Unsupported("lxc-execute has device rules that allow character or block devices after the first")
		}
		access := r.Access
		if access == "" {
			access = "rwm"
		}
		files = append(files, cgroup.File{Name: "devices.allow", Value: fmt.Sprintf("%s %s:%s %s", r.Type, number(r.Major), number(r.Minor), access)})
	}
	return files, nil
}

// lxcGroups says where LXC is to make its cgroups: below the container's own. Their paths begin at the group
// of the host's init, as root's always do but with lxc.cgroup.relative, where LXC would have to be in the group
// that is to have others below it (__lxc_start in start.c delegates controllers before it leaves). On the way
// there it enables every controller of the host's, as OCI runtimes do.
func lxcGroups(g *cgroup.Group) (string, error) {
	if !hasV2(g) {
		return "", nil
	}
	hierarchies := g.Hierarchies()
	text, err := os.ReadFile("/proc/1/cgroup")
	if err != nil {
		return "", fmt.Errorf("find the host's first cgroup: %w", err)
	}
	below, err := belowInit(string(text), hierarchies[len(hierarchies)-1].Below)
	if err != nil {
		return "", err
	}
	f := &lxcFile{}
	f.set("lxc.cgroup.relative", "0")
	f.set("lxc.cgroup.dir.monitor", below+"/monitor")
	f.set("lxc.cgroup.dir.monitor.pivot", below+"/pivot")
	f.set("lxc.cgroup.dir.container", below+"/payload")
	return f.text.String(), f.err
}

// belowInit is a path of cgroup v2 relative to the group of init, of which /proc/1/cgroup tells. Like LXC it
// takes off the scope that systemd gives it (prune_init_scope in cgroup_utils.c).
func belowInit(text, below string) (string, error) {
	for line := range strings.Lines(text) {
		base, v2 := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !v2 {
			continue
		}
		base = strings.TrimSuffix(strings.TrimSuffix(base, "/init.scope"), "/") + "/"
		if rel, ok := strings.CutPrefix(below, base); ok && rel != "" {
			return rel, nil
		}
		return "", kernel.Unsupported("lxc-execute makes cgroups below that of init, %s, where %s is not", base, below)
	}
	return "", errors.New("find the host's first cgroup: /proc/1/cgroup has no line of cgroup v2")
}

// cgroupV1Mounts are the mount points of v1 hierarchies where LXC would look for them.
func cgroupV1Mounts() ([]string, error) {
	lines, err := listMounts()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, line := range lines {
		const point = 4
		fields, kind, _ := strings.Cut(line, " - ")
		if f := strings.Fields(fields); strings.HasPrefix(kind, "cgroup ") && len(f) > point && strings.HasPrefix(f[point], "/sys/fs/cgroup/") {
			points = append(points, f[point])
		}
	}
	slices.Reverse(points) // what is mounted over another goes first
	return points, nil
}

package driver

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// engineLimit is the option for a field of linux.resources, empty where the engine is told nothing of it.
func engineLimit(field string) string {
	switch field {
	case "memory.limit":
		return "--memory"
	case "memory.reservation":
		return "--memory-reservation"
	case "memory.swap":
		return "--memory-swap"
	case "memory.swappiness":
		return "--memory-swappiness"
	case "memory.disableOOMKiller":
		return "--oom-kill-disable"
	case "cpu.shares":
		return "--cpu-shares"
	case "cpu.quota":
		return "--cpu-quota"
	case "cpu.period":
		return "--cpu-period"
	case "cpu.realtimeRuntime":
		return "--cpu-rt-runtime"
	case "cpu.realtimePeriod":
		return "--cpu-rt-period"
	case "cpu.cpus":
		return "--cpuset-cpus"
	case "cpu.mems":
		return "--cpuset-mems"
	case "pids.limit":
		return "--pids-limit"
	case "blockIO.weight":
		return "--blkio-weight"
	case "blockIO.throttleReadBpsDevice":
		return "--device-read-bps"
	case "blockIO.throttleWriteBpsDevice":
		return "--device-write-bps"
	case "blockIO.throttleReadIOPSDevice":
		return "--device-read-iops"
	case "blockIO.throttleWriteIOPSDevice":
		return "--device-write-iops"
	}
	return ""
}

// noPidsLimit is what an engine is told where a spec has none: podman has one of its own otherwise.
const noPidsLimit = "--pids-limit=-1"

func (e *engine) limitOptions(b Bundle) ([]string, error) {
	r := spec.Clone(b.Spec).Linux.Resources
	if r == nil {
		return []string{noPidsLimit}, nil
	}
	if err := inV1Words(r, b.Parent); err != nil {
		return nil, err
	}
	if err := e.under.weighs(r); err != nil {
		return nil, err
	}
	var a []string
	if e.unified != "" {
		for _, file := range slices.Sorted(maps.Keys(r.Unified)) {
			a = append(a, e.unified+"="+e.listed(file+"="+r.Unified[file]))
		}
		r.Unified = nil
	}
	r.Devices = nil
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("read linux.resources: %w", err)
	}
	var parts map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil { // such as a list of huge pages
		return nil, kernel.Unsupported("%s sets none of linux.resources but memory, cpu, pids and blockIO", e.name)
	}
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		for _, field := range slices.Sorted(maps.Keys(parts[part])) {
			option := engineLimit(part + "." + field)
			if option == "" {
				return nil, kernel.Unsupported("%s sets no linux.resources.%s.%s", e.name, part, field)
			}
			values, err := limitValues(parts[part][field])
			if err != nil {
				return nil, err
			}
			for _, v := range values {
				a = append(a, option+"="+v)
			}
		}
	}
	if m := r.Memory; m != nil && m.Limit != nil && *m.Limit > 0 && *m.Limit < e.minMemory {
		return nil, kernel.Unsupported("%s sets no limit of memory below %d bytes", e.name, e.minMemory)
	}
	if r.Pids == nil || r.Pids.Limit == nil {
		a = append(a, noPidsLimit)
	}
	return a, nil
}

// limitValues are the values of a field: one, or one for each device.
func limitValues(raw json.RawMessage) ([]string, error) {
	if raw[0] != '[' {
		return []string{strings.Trim(string(raw), `"`)}, nil
	}
	var devices []specs.LinuxThrottleDevice
	if err := json.Unmarshal(raw, &devices); err != nil {
		return nil, fmt.Errorf("read linux.resources: %w", err)
	}
	var values []string
	for _, d := range devices {
		path, err := blockDevice(d.Major, d.Minor)
		if err != nil {
			return nil, err
		}
		values = append(values, path+":"+strconv.FormatUint(d.Rate, 10))
	}
	return values, nil
}

// blockDevice is the path below /dev that the kernel has given a block device: engines take no numbers, and
// no path elsewhere.
func blockDevice(major, minor int64) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/uevent", major, minor))
	if err != nil {
		return "", kernel.Unsupported("block device %d:%d has no path: %v", major, minor, err)
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			return filepath.Join("/dev", name), nil
		}
	}
	return "", kernel.Unsupported("block device %d:%d has no path", major, minor)
}

// anyDevice is the rule that lifts the device filter: docker's daemon/pkg/oci, and podman's
// pkg/specgenutil/specgen.go, which knows a wildcard for the major number since 4.2.
const anyDevice = "a *:* rwm"

// deviceOptions are the nodes of a spec, which an engine copies from ours and lets the container use, and the
// rules of the device filter.
func (e *engine) deviceOptions(s *specs.Spec, dir string) ([]string, error) {
	var a []string
	for i, d := range s.Linux.Devices {
		if d.Type != "c" && d.Type != "u" && d.Type != "b" {
			return nil, kernel.Unsupported("%s makes no device of type %q (%s)", e.name, d.Type, d.Path)
		}
		a = append(a, "--device="+e.listed(filepath.Join(dir, deviceFile(i))+":"+d.Path+":rwm"))
	}
	var rules []specs.LinuxDeviceCgroup
	if s.Linux.Resources != nil {
		rules = s.Linux.Resources.Devices
	}
	denies := func(d specs.LinuxDeviceCgroup) bool { return !d.Allow }
	filtered, user := slices.ContainsFunc(rules, denies), spec.HasNamespace(s, specs.UserNamespace)
	switch {
	case user && filtered: // podman's pkg/specgen/generate/oci_linux.go
		return nil, kernel.Unsupported("%s filters no devices in a user namespace", e.name)
	case user:
		return a, nil
	case !filtered:
		return append(a, "--device-cgroup-rule="+anyDevice), nil
	case slices.ContainsFunc(rules[1:], denies) || rules[0].Major != nil || rules[0].Minor != nil || rules[0].Access != "rwm":
		return nil, kernel.Unsupported("%s denies all devices and then allows some", e.name)
	}
	for _, d := range rules[1:] {
		number := func(n *int64) string {
			if n == nil || *n < 0 {
				return "*"
			}
			return strconv.FormatInt(*n, 10)
		}
		kind := d.Type
		if kind == "" {
			kind = "a"
		}
		a = append(a, "--device-cgroup-rule="+kind+" "+number(d.Major)+":"+number(d.Minor)+" "+d.Access)
	}
	return a, nil
}

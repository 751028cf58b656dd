package driver

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// engineReadonly are the paths that engines make read-only.
var engineReadonly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

// dockerMasked are the paths that docker masks: oci/defaults.go of 20.10. Newer ones mask more.
var dockerMasked = []string{
	"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
}

// ownMasks puts the list of an engine that has but one in the place of a spec's.
func (e *engine) ownMasks(s *specs.Spec) {
	if len(s.Linux.MaskedPaths) > 0 {
		s.Linux.MaskedPaths = slices.Clone(e.masked)
	}
}

// dockerMasks are all of docker's or none: cli/command/container/opts.go, parseSystemPaths.
func dockerMasks(masked, readonly []string) ([]string, error) {
	switch {
	case len(masked)+len(readonly) == 0:
		return []string{"--security-opt=systempaths=unconfined"}, nil
	case sameSet(masked, dockerMasked) && sameSet(readonly, engineReadonly):
		return nil, nil
	}
	return nil, kernel.Unsupported("docker masks the paths of its own list, and makes those of another read-only, or none at all")
}

// podmanPaths are all that podman has masked or made read-only by default: DefaultMaskedPaths and
// DefaultReadOnlyPaths of containers/common, pkg/config, and BlockAccessToKernelFilesystems of 4.3.
var podmanPaths = []string{
	"/proc/acpi", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/interrupts", "/proc/irq", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/sched_debug", "/proc/scsi", "/proc/sys", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats",
	"/sys/dev/block", "/sys/devices/system/cpu/*/thermal_throttle", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
}

// podmanMasks takes away all that is masked by default, and masks what the spec does. It does not say ALL,
// which makes the cgroups writable too.
func podmanMasks(masked, readonly []string) ([]string, error) {
	for _, p := range readonly {
		if !slices.Contains(engineReadonly, p) {
			return nil, kernel.Unsupported("podman makes no path read-only but %s (%s)", strings.Join(engineReadonly, ", "), p)
		}
	}
	if i := slices.IndexFunc(masked, func(p string) bool { return strings.Contains(p, ":") }); i >= 0 {
		return nil, kernel.Unsupported("podman takes a colon in a path for its end (%s)", masked[i])
	}
	unmask := slices.DeleteFunc(slices.Clone(podmanPaths), func(p string) bool { return slices.Contains(readonly, p) })
	a := []string{"--security-opt=unmask=" + strings.Join(unmask, ":")}
	if len(masked) > 0 {
		a = append(a, "--security-opt=mask="+strings.Join(masked, ":"))
	}
	return a, nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}

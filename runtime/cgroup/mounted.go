package cgroup

import (
	"slices"

	"cellwall/runtime/kernel"
)

// Mounted returns where the hierarchy of a controller, under its v2 name, is mounted: the
// directory below which every group that the caller can see has its own. The error wraps
// kernel.ErrNotSupported.
func Mounted(controller string) (string, error) {
	mounts, err := parseFile("/proc/thread-self/mountinfo", parseMountinfo)
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		d, err := openHost(m, m.point)
		if err != nil {
			continue // hidden by another mount
		}
		has := slices.ContainsFunc(d.available(), func(c string) bool { return v2Name(c) == controller })
		d.close()
		if has {
			return m.point, nil
		}
	}
	return "", kernel.Unsupported("%s controller: the kernel lacks it or its hierarchy is not mounted", controller)
}

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

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// oldest is the version that every runtime accepts. What it does not know of newer ones it says
// when it meets it, whatever the number: Expresses asks for that.
const oldest = "1.0.0"

// The files of a container's directory. The runtime's state must be empty again in the end.
const (
	configFile = "config.json"
	stateDir   = "state"
	pidFile    = "pid"
	logFile    = "log"
)

func (c *ociContainer) at(file string) string { return filepath.Join(c.dir, file) }

// write makes the bundle.
func (c *ociContainer) write() error {
	s := spec.Clone(c.bundle.Spec)
	s.Version = oldest
	s.Linux.CgroupsPath = c.below
	if err := inV1Words(s.Linux.Resources, c.bundle.Parent); err != nil {
		return err
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	if err := os.WriteFile(c.at(configFile), raw, 0o600); err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	return within(c.bundle.From, func() error { return makeTargets(s) })
}

// below is the path that a group below parent has in every hierarchy.
func below(parent *cgroup.Group, id string) (string, error) {
	hierarchies := parent.Hierarchies()
	for _, h := range hierarchies {
		if h.Below != hierarchies[0].Below {
			return "", kernel.Unsupported("linux.cgroupsPath is one path, but the group is %s in %s and %s in %s",
				hierarchies[0].Below, hierarchies[0].Name, h.Below, h.Name)
		}
	}
	return filepath.Join(hierarchies[0].Below, id), nil
}

// inV1Words puts the files of cgroup v2 that a spec names into OCI's own words, where the host's
// controllers are on v1. What has none there wraps kernel.ErrNotSupported.
func inV1Words(r *specs.LinuxResources, g *cgroup.Group) error {
	if r == nil || g == nil {
		return nil
	}
	for _, file := range slices.Sorted(maps.Keys(r.Unified)) {
		value := r.Unified[file]
		if hierarchies := g.Hierarchies(); len(hierarchies) == 1 && hierarchies[0].V2 {
			continue
		}
		weight, err := strconv.ParseUint(value, 10, 16)
		switch {
		case err == nil && file == "cpu.weight":
			if r.CPU == nil {
				r.CPU = &specs.LinuxCPU{}
			}
			shares := cgroup.SharesFromWeight(weight)
			r.CPU.Shares = &shares
		case err == nil && file == "io.weight":
			if r.BlockIO == nil {
				r.BlockIO = &specs.LinuxBlockIO{}
			}
			bfq := uint16(cgroup.BFQWeight(weight))
			r.BlockIO.Weight = &bfq
		default:
			return kernel.Unsupported("%s: linux.resources.unified is for hosts with cgroup v2 alone", file)
		}
		delete(r.Unified, file)
	}
	return nil
}

// counterfeit reports whether a device has the null device's name and not its number, of Documentation/admin-guide/devices.txt.
func counterfeit(d specs.LinuxDevice) bool {
	return d.Path == "/dev/null" && (d.Type != "c" || d.Major != 1 || d.Minor != 3)
}

// makeTargets makes in the root directory what mounts will cover, as an image has it. A runtime that
// does it itself does so as the container's root, who may have no right to there. Nothing is followed
// out of the root directory: what lies beyond a link is left for the runtime to judge.
func makeTargets(s *specs.Spec) error {
	root, err := os.OpenRoot(s.Root.Path)
	if err != nil {
		return fmt.Errorf("make mount targets: %w", err)
	}
	defer root.Close() //nolint:errcheck // a directory
	for i, m := range s.Mounts {
		path := strings.TrimPrefix(filepath.Clean(m.Destination), "/")
		covered := slices.ContainsFunc(s.Mounts[:i], func(o specs.Mount) bool {
			return strings.HasPrefix(path, strings.TrimPrefix(filepath.Clean(o.Destination), "/")+"/")
		})
		if covered || path == "" {
			continue
		}
		if info, err := os.Stat(m.Source); m.Type == "bind" && err == nil && !info.IsDir() {
			_ = root.MkdirAll(filepath.Dir(path), 0o755)
			if f, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
				_ = f.Close() // it is empty
			}
			continue
		}
		_ = root.MkdirAll(path, 0o755) // the runtime says what is wrong with it
	}
	if slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return filepath.Clean(m.Destination) == "/dev" }) {
		return nil
	}
	// Without a /dev of its own the image's is filled, by the container's root, whose it is then.
	for _, m := range s.Linux.UIDMappings {
		if m.ContainerID == 0 {
			_ = root.Chown("dev", int(m.HostID), int(m.HostID)) // one that leads elsewhere is not followed
		}
	}
	return nil
}

// within calls f in the mount namespace of a file, or where the caller is.
func within(from string, f func() error) error {
	if from == "" {
		return f()
	}
	return kernel.OnThread(func() error {
		if err := kernel.EnterMounts(from); err != nil {
			return err
		}
		return f()
	})
}

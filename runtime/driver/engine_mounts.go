package driver

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// engineMounts are made in every container: moby's oci/defaults.go and podman's
// pkg/specgen/generate/oci_linux.go. A devpts has gid=5 as well, where that id is mapped.
var engineMounts = []specs.Mount{
	{Destination: "/proc", Type: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/dev", Type: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{Destination: "/dev/pts", Type: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
	{Destination: devShm, Type: "tmpfs", Options: []string{"nosuid", "noexec", "nodev", "mode=1777"}},
	{Destination: "/dev/mqueue", Type: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/sys", Type: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
	{Destination: "/sys/fs/cgroup", Type: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
}

// devShm has a size that can be chosen.
const devShm, sizeOption = "/dev/shm", "size="

func engineMountAt(destination string) *specs.Mount {
	i := slices.IndexFunc(engineMounts, func(m specs.Mount) bool { return m.Destination == path.Clean(destination) })
	if i < 0 {
		return nil
	}
	return &engineMounts[i]
}

// ownMounts takes from a spec the options of mounts that an engine cannot be told, and adds the mounts that it
// makes whatever it is told.
func (e *engine) ownMounts(s *specs.Spec) {
	for i := range s.Mounts {
		m := &s.Mounts[i]
		own := engineMountAt(m.Destination)
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool {
			if own != nil && own.Type == m.Type {
				return !slices.Contains(own.Options, o) && !(own.Destination == devShm && strings.HasPrefix(o, sizeOption))
			}
			return m.Type == "tmpfs" && strings.Contains(o, "=") && !e.tmpfsHas(o)
		})
	}
	for _, own := range engineMounts {
		if len(s.Mounts) > 0 && own.Type == "cgroup" && !slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == own.Destination }) {
			own.Source, own.Options = own.Type, slices.Clone(own.Options)
			s.Mounts = append(s.Mounts, own)
		}
	}
}

func (e *engine) tmpfsHas(option string) bool {
	return slices.ContainsFunc(e.tmpfs, func(name string) bool { return strings.HasPrefix(option, name) })
}

func (e *engine) mountOptions(s *specs.Spec) ([]string, error) {
	var a []string
	for _, own := range engineMounts {
		if !slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return path.Clean(m.Destination) == own.Destination }) {
			return nil, kernel.Unsupported("%s mounts a %s at %s always", e.name, own.Type, own.Destination)
		}
	}
	for _, m := range s.Mounts {
		var option string
		var err error
		switch own := engineMountAt(m.Destination); {
		case own != nil:
			option, err = e.ownMount(m, *own)
		case slices.Contains(m.Options, "bind"), slices.Contains(m.Options, "rbind"):
			option, err = e.bindOption(m)
		case m.Type == "tmpfs":
			option, err = e.tmpfsOption(m)
		default:
			err = kernel.Unsupported("%s mounts no %s (%s)", e.name, m.Type, m.Destination)
		}
		if err != nil {
			return nil, err
		}
		if option != "" {
			a = append(a, option)
		}
	}
	return a, nil
}

// ownMount is the option for a mount that an engine makes itself, which is as it is.
func (e *engine) ownMount(m, own specs.Mount) (string, error) {
	size := ""
	options := slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool {
		if own.Destination != devShm || !strings.HasPrefix(o, sizeOption) {
			return false
		}
		size = strings.TrimPrefix(o, sizeOption)
		return true
	})
	slices.Sort(options)
	want := slices.Sorted(slices.Values(own.Options))
	options = slices.Compact(options)
	if bare := slices.Sorted(slices.Values(append(slices.Clone(options), "ro"))); own.Type == "cgroup" && m.Type == own.Type && slices.Equal(bare, want) {
		if option := e.writable(); option != "" {
			return option, nil
		}
	}
	if m.Type != own.Type || !slices.Equal(options, want) {
		return "", kernel.Unsupported("%s mounts a %s with %s at %s always", e.name, own.Type, strings.Join(own.Options, ","), own.Destination)
	}
	if size == "" {
		return "", nil
	}
	n, err := bytesOf(size)
	if err != nil {
		return "", fmt.Errorf("mount %s: size %q: %w", m.Destination, size, err)
	}
	return fmt.Sprintf("--shm-size=%d", n), nil
}

// podmanWritable unmasks the cgroup mount, which makes it writable with cgroup v2 alone:
// pkg/specgen/generate/oci_linux.go, getCgroupPermissions.
func podmanWritable() string {
	var fs unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &fs) != nil || int64(fs.Type) != unix.CGROUP2_SUPER_MAGIC {
		return ""
	}
	return "--security-opt=unmask=/sys/fs/cgroup"
}

var tmpfsFlags = []string{"ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev"}

// tmpfsOption is a tmpfs, which has noexec, nosuid and nodev unless their opposites are given.
func (e *engine) tmpfsOption(m specs.Mount) (string, error) {
	options := slices.Clone(m.Options)
	for _, o := range options {
		if !slices.Contains(tmpfsFlags, o) && !e.tmpfsHas(o) || strings.ContainsAny(o, ":,") {
			return "", kernel.Unsupported("%s mounts no tmpfs with %s (%s)", e.name, o, m.Destination)
		}
	}
	for _, flag := range []string{"exec", "suid", "dev"} {
		if !slices.Contains(options, "no"+flag) && !slices.Contains(options, flag) {
			options = append(options, flag)
		}
	}
	if !e.daemon {
		options = append(options, "notmpcopyup")
	}
	if strings.Contains(m.Destination, ":") {
		return "", kernel.Unsupported("%s takes a colon in a path for its end (%s)", e.name, m.Destination)
	}
	return "--tmpfs=" + m.Destination + ":" + strings.Join(options, ","), nil
}

// bindOption is a bind mount. Whether one of a file is recursive makes no difference.
func (e *engine) bindOption(m specs.Mount) (string, error) {
	options := slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "rbind" || o == "rw" })
	if info, err := os.Stat(m.Source); err == nil && !info.IsDir() {
		options = slices.DeleteFunc(options, func(o string) bool { return o == "bind" })
	}
	option, err := e.bind(e, m.Source, m.Destination, options)
	if err != nil {
		return "", fmt.Errorf("%w (%s)", err, m.Destination)
	}
	return option, nil
}

// podmanBind leaves to a mount the flags of its source: what is not given is not taken away.
func podmanBind(e *engine, source, destination string, options []string) (string, error) {
	for _, o := range options {
		if !slices.Contains([]string{"bind", "ro", "nosuid", "nodev", "noexec", "private", "rprivate", "slave", "rslave", "shared", "rshared"}, o) {
			return "", kernel.Unsupported("%s binds nothing with %s", e.name, o)
		}
	}
	if strings.Contains(source+destination, ":") {
		return "", kernel.Unsupported("%s takes a colon in a path for its end", e.name)
	}
	if !slices.Contains(options, "bind") {
		options = append(options, "rbind")
	}
	return "--volume=" + source + ":" + destination + ":" + strings.Join(options, ","), nil
}

// dockerBind is a field of a record of comma-separated values. A mount can be read-only and have a
// propagation, and no other flag.
func dockerBind(e *engine, source, destination string, options []string) (string, error) {
	fields := []string{"type=bind", "source=" + source, "target=" + destination}
	old := Older(e.version, e.recursiveSince)
	for _, o := range options {
		switch {
		case o == "bind" && old:
			fields = append(fields, "bind-nonrecursive")
		case o == "bind":
			fields = append(fields, "bind-recursive=disabled")
		case o == "ro" && (old || slices.Contains(options, "bind")):
			fields = append(fields, "readonly")
		case o == "ro":
			fields = append(fields, "readonly", "bind-recursive=writable")
		case o == "rro" && !old && !slices.Contains(options, "bind"):
			fields = append(fields, "readonly", "bind-recursive=readonly", "bind-propagation=rprivate")
		case slices.Contains([]string{"private", "rprivate", "slave", "rslave", "shared", "rshared"}, o) && !slices.Contains(options, "rro"):
			fields = append(fields, "bind-propagation="+o)
		default:
			return "", kernel.Unsupported("%s binds nothing with %s", e.name, o)
		}
	}
	return "--mount=" + record(fields...), nil
}

// record is a line of comma-separated values.
func record(fields ...string) string {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	_ = w.Write(fields) // to memory
	w.Flush()
	return strings.TrimSuffix(line.String(), "\n")
}

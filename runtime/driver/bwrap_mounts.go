package driver

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// bwrapOptionsOf are the options that bwrap gives the file systems that it mounts (privileged_op in
// bubblewrap.c), and of those of tmpfs the ones that can be asked for.
var bwrapOptionsOf = map[string][]string{
	"proc":   {"nosuid", "noexec", "nodev"},
	"devpts": {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"},
	"mqueue": {},
	"tmpfs":  {"nosuid", "nodev", "mode=", "size="},
}

func bwrapHas(m specs.Mount, option string) bool {
	return slices.ContainsFunc(bwrapOptionsOf[m.Type], func(o string) bool {
		return o == option || strings.HasSuffix(o, "=") && strings.HasPrefix(option, o) && path.Clean(m.Destination) != "/dev" ||
			path.Clean(m.Destination) == "/dev" && option == "mode=755"
	})
}

// bwrapOptions takes from the mounts of a spec the options that bwrap cannot be asked for.
func bwrapOptions(s *specs.Spec) {
	for i := range s.Mounts {
		m := &s.Mounts[i]
		if _, ok := bwrapOptionsOf[m.Type]; ok {
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return !bwrapHas(*m, o) })
		}
	}
}

// mounts are bwrap's options for the root directory and all mounts.
func (w *bwrap) mounts(b Bundle) ([]string, error) {
	s := b.Spec
	root := "--bind"
	if s.Root.Readonly {
		root = "--ro-bind"
	}
	a := []string{root, s.Root.Path, "/"}
	dev := slices.ContainsFunc(s.Mounts, isOwnDev)
	for _, m := range s.Mounts {
		options, err := bwrapMount(m, dev)
		if err != nil {
			return nil, err
		}
		a = append(a, options...)
	}
	return a, nil
}

func isOwnDev(m specs.Mount) bool { return path.Clean(m.Destination) == "/dev" && m.Type == "tmpfs" }

// bwrapMount is one mount. With a /dev of its own comes a devpts.
func bwrapMount(m specs.Mount, dev bool) ([]string, error) {
	bind, err := bwrapBind(m)
	if bind != nil || err != nil {
		return bind, err
	}
	for _, o := range m.Options {
		if _, known := bwrapOptionsOf[m.Type]; known && !bwrapHas(m, o) {
			return nil, kernel.Unsupported("bwrap mounts no %s with %s (%s)", m.Type, o, m.Destination)
		}
	}
	switch m.Type {
	case "proc":
		return []string{"--proc", m.Destination}, nil
	case "mqueue":
		return []string{"--mqueue", m.Destination}, nil
	case "devpts":
		if dev && path.Clean(m.Destination) == "/dev/pts" {
			return []string{}, nil
		}
		return nil, kernel.Unsupported("bwrap mounts a devpts in a /dev of its own only")
	case "tmpfs":
		if isOwnDev(m) {
			return []string{"--dev", m.Destination}, nil
		}
		a, mode := []string{}, "1777" // tmpfs(5)
		for _, o := range m.Options {
			key, value, _ := strings.Cut(o, "=")
			switch key {
			case "mode":
				mode = value
			case "size":
				n, err := bytesOf(value)
				if err != nil {
					return nil, fmt.Errorf("mount %s: size %q: %w", m.Destination, value, err)
				}
				a = append(a, "--size", strconv.FormatUint(n, 10))
			}
		}
		return append(a, "--perms", mode, "--tmpfs", m.Destination), nil
	}
	return nil, kernel.Unsupported("bwrap mounts no %s (%s)", m.Type, m.Destination)
}

// bwrapBind is a bind mount, or nil. bwrap sets nosuid on all and nodev on all but those of --dev-bind.
// All are recursive (bind_mount in bind-mount.c), which makes no difference to a file.
func bwrapBind(m specs.Mount) ([]string, error) {
	if !slices.Contains(m.Options, "bind") && !slices.Contains(m.Options, "rbind") {
		return nil, nil
	}
	readonly, nodev := false, false
	for _, o := range m.Options {
		switch o {
		case "bind", "rbind", "nosuid", "rw", "private", "rprivate", "rnosuid":
		case "ro", "rro":
			readonly = true
		case "nodev", "rnodev":
			nodev = true
		default:
			return nil, kernel.Unsupported("bwrap binds nothing with %s (%s)", o, m.Destination)
		}
	}
	if info, err := os.Stat(m.Source); err == nil && info.IsDir() && !slices.Contains(m.Options, "rbind") {
		return nil, kernel.Unsupported("bwrap binds a directory together with all mounts in it: rbind (%s)", m.Destination)
	}
	option := "--dev-bind"
	switch {
	case readonly:
		option = "--ro-bind"
	case nodev:
		option = "--bind"
	}
	return []string{option, m.Source, m.Destination}, nil
}

// bytesOf reads a size as tmpfs(5) does.
func bytesOf(text string) (uint64, error) {
	number, shift := text, 0
	if i := strings.IndexAny(text, "kKmMgG"); i >= 0 && i == len(text)-1 {
		number, shift = text[:i], map[byte]int{'k': 10, 'm': 20, 'g': 30}[text[i]|0x20]
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err == nil && n<<shift>>shift != n {
		err = strconv.ErrRange
	}
	return n << shift, err
}

// bwrapCovers are the options for masked and read-only paths. What is not there needs none.
func bwrapCovers(s *specs.Spec) []string {
	var a []string
	for _, p := range s.Linux.MaskedPaths {
		switch source, dir := lookBehind(s, p); {
		case dir:
			a = append(a, "--size", "4096", "--tmpfs", p, "--remount-ro", p)
		case source != "":
			a = append(a, "--ro-bind", os.DevNull, p)
		}
	}
	for _, p := range s.Linux.ReadonlyPaths {
		if source, _ := lookBehind(s, p); source != "" {
			a = append(a, "--ro-bind", source, p)
		}
	}
	return a
}

// lookBehind says where on the host lies what will be at a path of the container: nowhere is empty. No
// link leads out of the root directory or a volume.
func lookBehind(s *specs.Spec, at string) (source string, dir bool) {
	at = path.Clean("/" + at)
	base, rel := s.Root.Path, at
	for _, m := range s.Mounts {
		destination := path.Clean("/" + m.Destination)
		if at != destination && !strings.HasPrefix(at, destination+"/") {
			continue
		}
		rel = strings.TrimPrefix(at, destination)
		switch {
		case slices.Contains(m.Options, "bind"), slices.Contains(m.Options, "rbind"):
			base = m.Source
		case m.Type == "proc", m.Type == "sysfs": // the kernel's, and the same everywhere
			base = "/" + strings.TrimSuffix(m.Type, "fs")
		default:
			base = ""
		}
	}
	if base == "" {
		return "", false
	}
	info, err := os.Stat(base)
	if rel = strings.Trim(rel, "/"); err == nil && rel != "" {
		var root *os.Root
		if root, err = os.OpenRoot(base); err == nil {
			info, err = root.Stat(rel)
			_ = root.Close() // a directory
		}
	}
	if err != nil {
		return "", false
	}
	return path.Join(base, rel), info.IsDir()
}

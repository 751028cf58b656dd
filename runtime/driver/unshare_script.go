package driver

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// lines is a shell script that is being written.
type lines struct{ strings.Builder }

// do adds a command. All its words are quoted.
func (l *lines) do(words ...string) {
	for i, w := range words {
		if i > 0 {
			l.WriteByte(' ')
		}
		l.WriteString(quoted(w))
	}
	l.WriteByte('\n')
}

// quoted is a word that sh(1) takes as it is.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// linked are the symbolic links in a /dev of the container's own: OCI runtime-spec, "Dev symbolic
// links".
var linked = []struct{ target, name string }{
	{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"},
}

// nodes are the default devices: OCI runtime-spec, config-linux.md.
var nodes = []string{"null", "zero", "full", "random", "urandom", "tty"}

// script makes the container's mounts and names from inside its namespaces, and becomes its arguments.
// Directories are made in file systems of the container's own only: in the root directory they are
// there (makeTargets), and mkdir(1) would follow a link of the image out of it.
func (u *unshare) script(s *specs.Spec) (string, error) {
	l := &lines{}
	l.do("set", "-e")
	l.do("umask", "0")
	root := s.Root.Path
	if s.Root.Readonly {
		l.do("mount", "-n", "--rbind", root, root)
	}
	for i, m := range s.Mounts {
		at := filepath.Join(root, path.Clean("/"+m.Destination))
		if inside(s.Mounts[:i], m.Destination) {
			l.do("mkdir", "-p", at)
		}
		if err := l.mount(m, at); err != nil {
			return "", err
		}
		if isOwnDev(m) {
			l.dev(s, at)
		}
	}
	for _, p := range s.Linux.MaskedPaths {
		at := filepath.Join(root, path.Clean("/"+p))
		fmt.Fprintf(l, "if [ -d %[1]s ]; then mount -n -t tmpfs -o ro,size=4k,nr_inodes=2 tmpfs %[1]s\nelif [ -e %[1]s ]; then mount -n --bind /dev/null %[1]s; fi\n", quoted(at))
	}
	for _, p := range s.Linux.ReadonlyPaths {
		at := filepath.Join(root, path.Clean("/"+p))
		fmt.Fprintf(l, "if [ -e %[1]s ]; then mount -n --rbind %[1]s %[1]s; mount -n -o remount,bind,ro,nosuid,nodev,noexec %[1]s; fi\n", quoted(at))
	}
	if s.Root.Readonly {
		l.do("mount", "-n", "-o", "remount,bind,ro", root)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Linux.Sysctl)) {
		fmt.Fprintf(l, "printf %%s %s >%s\n", quoted(s.Linux.Sysctl[key]), quoted("/proc/sys/"+strings.ReplaceAll(key, ".", "/")))
	}
	if s.Hostname != "" {
		l.do("hostname", "--", s.Hostname)
	}
	umask := uint32(0o022) // OCI runtimes' own
	if s.Process.User.Umask != nil {
		umask = *s.Process.User.Umask
	}
	l.do("umask", fmt.Sprintf("%04o", umask))
	l.WriteString(`exec "$@"`)
	return l.String(), nil
}

// inside reports whether a destination lies in a file system that one of the mounts has made.
func inside(mounts []specs.Mount, destination string) bool {
	return slices.ContainsFunc(mounts, func(m specs.Mount) bool {
		return m.Type == "tmpfs" && strings.HasPrefix(path.Clean("/"+destination), path.Clean("/"+m.Destination)+"/")
	})
}

// mount is one mount, with mount(8): the flags of a bind come in a second step.
func (l *lines) mount(m specs.Mount, at string) error {
	switch {
	case m.Type == "cgroup" || m.Type == "cgroup2":
		return kernel.Unsupported("unshare shows no cgroups (%s)", m.Destination)
	case len(m.UIDMappings)+len(m.GIDMappings) > 0:
		return kernel.Unsupported("unshare maps no ids of a mount (%s)", m.Destination)
	}
	how := slices.IndexFunc(m.Options, func(o string) bool { return o == "bind" || o == "rbind" })
	if how < 0 {
		a := []string{"mount", "-n", "-t", m.Type}
		if len(m.Options) > 0 {
			a = append(a, "-o", strings.Join(m.Options, ","))
		}
		l.do(append(a, "--", m.Source, at)...)
		return nil
	}
	l.do("mount", "-n", "--"+m.Options[how], "--", m.Source, at)
	var flags []string
	for _, o := range m.Options {
		switch o {
		case "bind", "rbind", "rw", "private", "rprivate":
		case "ro", "nosuid", "nodev", "noexec", "suid", "dev", "exec", "noatime", "nodiratime", "relatime":
			flags = append(flags, o)
		default:
			return kernel.Unsupported("unshare binds nothing with %s (%s)", o, m.Destination)
		}
	}
	if len(flags) > 0 {
		l.do("mount", "-n", "-o", "remount,bind,"+strings.Join(flags, ","), "--", at)
	}
	return nil
}

// dev fills a new /dev. The default devices are the host's, bound, since no user namespace may make
// one.
func (l *lines) dev(s *specs.Spec, at string) {
	for _, n := range nodes {
		if slices.ContainsFunc(s.Linux.Devices, func(d specs.LinuxDevice) bool { return path.Clean(d.Path) == "/dev/"+n }) {
			continue
		}
		file := filepath.Join(at, n)
		fmt.Fprintf(l, ": >%s\n", quoted(file))
		l.do("mount", "-n", "--bind", "/dev/"+n, file)
	}
	for _, d := range s.Linux.Devices {
		if rel, ok := strings.CutPrefix(path.Clean("/"+d.Path), "/dev/"); ok && !spec.HasNamespace(s, specs.UserNamespace) {
			mode := os.FileMode(0o666) // OCI runtimes' own
			if d.FileMode != nil {
				mode = d.FileMode.Perm()
			}
			words := []string{"mknod", "-m", fmt.Sprintf("%04o", mode), filepath.Join(at, rel), d.Type}
			if d.Type != "p" { // which mknod(1) takes no numbers for
				words = append(words, fmt.Sprint(d.Major), fmt.Sprint(d.Minor))
			}
			l.do(words...)
		}
	}
	for _, k := range linked {
		l.do("ln", "-s", k.target, filepath.Join(at, k.name))
	}
}

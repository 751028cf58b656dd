package driver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// TestNspawnMounts has one mount each, beside those that are always there.
func TestNspawnMounts(t *testing.T) {
	n := nspawnAt(t, "252")
	for want, m := range map[string]specs.Mount{
		"--bind=/s:/d":                          spec.Bind("/s", "/d", "rw"),
		"--bind=/s:/n:norbind":                  {Destination: "/n", Type: "bind", Source: "/s", Options: []string{"bind"}},
		"--bind-ro=/s:/ro":                      spec.Bind("/s", "/ro", "ro"),
		"--bind-ro=/s:/rro":                     spec.Bind("/s", "/rro", "rro"),
		`--bind=/a\:b\\c:/x\:y`:                 spec.Bind(`/a:b\c`, "/x:y"),
		"--bind=/s:/dev/pts":                    spec.Bind("/s", "/dev/pts"),
		"--bind-ro=/s:/dev/shm":                 spec.Bind("/s", "/dev/shm", "ro"),
		"--tmpfs=/t:mode=1777,nodev":            {Destination: "/t", Type: "tmpfs", Options: []string{"nodev"}},
		"--tmpfs=/t2:nodev,ro,mode=0700,size=1": {Destination: "/t2", Type: "tmpfs", Options: []string{"nodev", "ro", "mode=0700", "size=1"}},
		"":                                      {Destination: "/sys", Type: "sysfs", Options: []string{"ro"}},
	} {
		s, _ := n.lineOf(t, spec.Namespaces, spec.WithMount(m))
		got, err := nspawnMountOptions(s)
		if err != nil || want != "" && !slices.Contains(got, want) {
			t.Errorf("%+v: %q, %v, want %q", m, got, err, want)
		}
	}
	for want, m := range map[string]specs.Mount{
		"mounts a proc always (/proc)":             spec.Bind("/proc", "/proc"),
		"mounts a tmpfs always (/run)":             spec.Bind("/s", "/run"),
		"mounts a tmpfs always (/dev)":             spec.Bind("/s", "/dev"),
		"mounts a cgroup always (/sys/fs/cgroup)":  {Destination: "/sys/fs/cgroup", Type: "cgroup2"},
		"no cgroup with ro (/sys/fs/cgroup)":       {Destination: "/sys/fs/cgroup", Type: "cgroup", Options: []string{"ro"}},
		"a read-only sysfs always (/sys)":          {Destination: "/sys", Type: "sysfs", Options: []string{"nosuid"}},
		"no devpts with max=8 (/dev/pts)":          {Destination: "/dev/pts", Type: "devpts", Options: []string{"max=8"}},
		"no tmpfs with uid=7 (/t)":                 {Destination: "/t", Type: "tmpfs", Options: []string{"nodev", "uid=7"}},
		"no tmpfs without nodev (/t)":              {Destination: "/t", Type: "tmpfs"},
		"binds nothing with noexec (/d)":           spec.Bind("/s", "/d", "noexec"),
		"binds nothing with rshared (/d)":          spec.Bind("/s", "/d", "rshared"),
		"below /proc (/proc/x)":                    spec.Bind("/s", "/proc/x"),
		"below /sys (/sys/x)":                      spec.Bind("/s", "/sys/x"),
		"below /run/host (/run/host/x)":            spec.Bind("/s", "/run/host/x"),
		"mounts no overlay (/o)":                   {Destination: "/o", Type: "overlay"},
		"maps no ids of a mount (/m)":              {Destination: "/m", Type: "bind", Source: "/s", Options: []string{"bind"}, UIDMappings: []specs.LinuxIDMapping{{Size: 1}}},
		"one thing at a place (/proc/self/status)": {Destination: "/none", Type: "proc"},
	} {
		edits := spec.Edits{spec.WithMount(m)}
		if m.Destination == "/none" {
			edits = spec.Edits{spec.Change("", func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/proc/self/status", "/proc/self/./status"} })}
		}
		s, _ := n.lineOf(t, spec.Namespaces, edits...)
		if got, err := nspawnMountOptions(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %q, %v, want %q", m, got, err, want)
		}
	}
	for _, m := range nspawnMounts {
		s, _ := n.lineOf(t, spec.Namespaces, spec.WithoutMount(m.at))
		if got, err := nspawnMountOptions(s); err == nil || !strings.Contains(err.Error(), "always ("+m.at+")") {
			t.Errorf("without %s: %q, %v", m.at, got, err)
		}
	}
}

// TestNspawnCovers masks what is there in a root directory and in the kernel's file systems.
func TestNspawnCovers(t *testing.T) {
	n := nspawnAt(t, "252")
	s, o := n.lineOf(t, spec.Hardened, spec.Change("", func(s *specs.Spec) {
		s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/tmp" || m.Destination == "/dev/shm" })
		s.Mounts = append(s.Mounts, spec.Bind("/s", "/dev/shm"))
		s.Linux.MaskedPaths = []string{"/dir", "/file", "/none", "/proc/self/status", "/proc/self/task", "/tmp/x", "/sys/fs"}
		s.Linux.ReadonlyPaths = append(slices.Clone(nspawnReadonly), "/dir", "/ro", "/none", "/proc/self/maps", "/sys/kernel")
	}))
	for _, dir := range []string{"dir", "ro"} {
		if err := os.Mkdir(filepath.Join(o.Rootfs, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(o.Rootfs, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const empty = ":mode=755,size=4k,nr_inodes=2,ro"
	want := []string{
		"--bind=/s:/dev/shm", "--tmpfs=/dir" + empty, "--bind-ro=/dev/null:/file", "--bind-ro=/dev/null:/proc/self/status", "--tmpfs=/proc/self/task" + empty,
		"--bind-ro=" + o.Rootfs + "/ro:/ro", "--bind-ro=/proc/self/maps:/proc/self/maps", "--bind-ro=/proc/sys/net:/proc/sys/net",
	}
	if got, err := nspawnMountOptions(s); err != nil || !slices.Equal(got, want) {
		t.Errorf("covers %v\n%s, want\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/sys/kernel/..//kernel")
	if got, err := nspawnMountOptions(s); err == nil || !strings.Contains(err.Error(), "nothing in /sys (/sys/kernel/") {
		t.Errorf("a mask in /sys: %q, %v", got, err)
	}
	if s, _ := n.Lacks().Apply(s); slices.ContainsFunc(s.Linux.MaskedPaths, nspawnShows) || !slices.Contains(s.Linux.MaskedPaths, "/sys/fs") {
		t.Errorf("it lacks masks in /sys: %q", s.Linux.MaskedPaths)
	}
	// With the host's network all of /sys is there before.
	spec.WithoutNamespace(specs.NetworkNamespace).Apply(s)
	want = append(want[:5:5], append([]string{"--tmpfs=/sys/fs" + empty, "--tmpfs=/sys/kernel" + empty}, want[5:len(want)-1]...)...)
	if got, err := nspawnMountOptions(s); err != nil || !slices.Equal(got, want) {
		t.Errorf("with the host's network: %q, %v, want %q", got, err, want)
	}
}

// FuzzColons parts a quoted path as extract_first_word does.
func FuzzColons(f *testing.F) {
	for _, p := range []string{"/a", "/a:b", `/a\`, `/\:`, ""} {
		f.Add(p, "/b")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var words []string
		word, quoted := "", false
		for _, c := range []byte(colons(a) + ":" + colons(b)) {
			switch {
			case quoted:
				word, quoted = word+string([]byte{c}), false
			case c == '\\':
				quoted = true
			case c == ':':
				words, word = append(words, word), ""
			default:
				word += string([]byte{c})
			}
		}
		if words = append(words, word); quoted || !slices.Equal(words, []string{a, b}) {
			t.Errorf("%q and %q became %q", a, b, words)
		}
	})
}

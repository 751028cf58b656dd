package driver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

func TestLXCMounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dev := specs.Mount{Destination: "/dev/", Type: "tmpfs", Options: []string{"mode=755"}}
	lines := func(mounts ...specs.Mount) (string, error) {
		s := &specs.Spec{Root: &specs.Root{Path: "/r"}, Mounts: mounts, Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.CgroupNamespace}}}}
		f := &lxcFile{}
		f.mounts(Bundle{Spec: s})
		return strings.ReplaceAll(f.text.String(), "lxc.mount.entry = ", ""), f.err
	}
	for _, c := range []struct {
		mounts []specs.Mount
		want   string
	}{
		{[]specs.Mount{spec.Bind("/s t", "/../d\\e", "ro", "nosuid", "nodev", "noexec")}, `/s\040t d\134e none rbind,ro,nosuid,nodev,noexec 0 0` + "\n"},
		{[]specs.Mount{spec.Bind("/s", "/d", "rw", "rprivate")}, "/s d none rbind,rw,rprivate 0 0\n"},
		{[]specs.Mount{{Destination: "/d", Source: "/s", Options: []string{"bind"}}}, "/s d none bind 0 0\n"},
		{[]specs.Mount{{Destination: "/t", Type: "tmpfs"}}, "none t tmpfs defaults 0 0\n"},
		{[]specs.Mount{{Destination: "/t", Type: "tmpfs", Options: []string{"ro", "context=a b"}}}, `none t tmpfs ro,context=a\040b 0 0` + "\n"},
		{[]specs.Mount{{Destination: "/c", Type: "cgroup", Source: "cgroup", Options: []string{"ro"}}}, "cgroup c cgroup2 ro 0 0\n"},
		{
			[]specs.Mount{{Destination: "/t", Type: "tmpfs"}, spec.Bind(file, "/t/f"), spec.Bind("/", "/t/d")},
			"none t tmpfs defaults 0 0\n" + escaped(file) + " t/f none rbind,create=file 0 0\n/ t/d none rbind,create=dir 0 0\n",
		},
		{[]specs.Mount{dev, {Destination: "/dev/pts", Type: "devpts", Options: []string{"max=5", "gid=5"}}}, "lxc.pty.max = 5\n"},
		{[]specs.Mount{dev, {Destination: "/dev/pts", Type: "devpts"}}, "lxc.pty.max = 1048576\n"},
	} {
		want := c.want + "lxc.autodev = 0\n"
		if isOwnDev(c.mounts[0]) {
			want = c.want + "lxc.autodev = 1\n"
		}
		if got, err := lines(c.mounts...); err != nil || got != want {
			t.Errorf("%+v:\n%s, %v, want\n%s", c.mounts, got, err, want)
		}
	}
	for want, mounts := range map[string][]specs.Mount{
		"nosuid of a bind mount with ro":    {spec.Bind("/s", "/d", "nosuid")},
		"noexec of a bind mount with ro":    {spec.Bind("/s", "/d", "noexec", "rw")},
		"nothing with rro (/d)":             {spec.Bind("/s", "/d", "rro")},
		"nothing with rshared":              {spec.Bind("/s", "/d", "rshared")},
		"nothing on the root directory":     {spec.Bind("/s", "/.")},
		"no tmpfs with nosuid (/dev/)":      {{Destination: "/dev/", Type: "tmpfs", Options: []string{"nosuid"}}},
		"no devpts with mode=0600":          {dev, {Destination: "/dev/pts", Type: "devpts", Options: []string{"mode=0600"}}},
		"no /dev of size 3g":                {{Destination: "/dev", Type: "tmpfs", Options: []string{"size=3g"}}},
		"no /dev of size x":                 {{Destination: "/dev", Type: "tmpfs", Options: []string{"size=x"}}},
		"a devpts in a /dev of its own":     {{Destination: "/dev/pts", Type: "devpts"}},
		"devpts in a /dev of its own only":  {dev, {Destination: "/pts", Type: "devpts"}},
		"as those of the container only (/": {{Destination: "/d", Source: "/s", Options: []string{"bind"}, UIDMappings: []specs.LinuxIDMapping{{}}}},
		"its file trims blanks and quotes":  {spec.Bind("/"+strings.Repeat("x", lxcLine), "/d")},
	} {
		if _, err := lines(mounts...); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q in it", mounts, err, want)
		}
	}
}

// TestLXCCovers looks behind the paths in a root directory.
func TestLXCCovers(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"secret dir", "ro"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := &lxcFile{}
	f.covers(&specs.Spec{Root: &specs.Root{Path: root}, Linux: &specs.Linux{
		MaskedPaths: []string{"/secret dir", "/file", "/none"}, ReadonlyPaths: []string{"/ro", "/../file", "/none"},
	}})
	want := `lxc.mount.entry = tmpfs secret\040dir tmpfs ro,nosuid,nodev,noexec,size=4k,nr_inodes=2 0 0
lxc.mount.entry = /dev/null file none bind 0 0
lxc.mount.entry = ro ro none rbind,ro,relative 0 0
lxc.mount.entry = file file none rbind,ro,relative 0 0
`
	if got := f.text.String(); got != want || f.err != nil {
		t.Errorf("covers are\n%s, %v, want\n%s", got, f.err, want)
	}
}

// FuzzEscaped has a field of fstab read back as getmntent(3) does.
func FuzzEscaped(f *testing.F) {
	for _, v := range []string{"", "/a b", `\040`, `\`, "#", "\n", "\t", "a,b"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, field string) {
		text := escaped(field)
		back := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#").Replace(text)
		if strings.ContainsAny(text, " \t\n#") || back != field {
			t.Errorf("%q became %q, and %q again", field, text, back)
		}
	})
}

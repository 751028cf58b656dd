package driver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/spec"
)

func TestBwrapMount(t *testing.T) {
	for want, m := range map[string]specs.Mount{
		"--bind /s /d":                          spec.Bind("/s", "/d", "nodev", "nosuid"),
		"--dev-bind /s /d":                      spec.Bind("/s", "/d", "rw"),
		"--ro-bind /s /d":                       spec.Bind("/s", "/d", "ro"),
		"--ro-bind /s /rro":                     spec.Bind("/s", "/rro", "rro", "nodev"),
		"--ro-bind /dev/null /f":                {Destination: "/f", Type: "bind", Source: "/dev/null", Options: []string{"bind", "ro"}},
		"--proc /proc":                          {Destination: "/proc", Type: "proc", Options: []string{"nosuid"}},
		"--mqueue /dev/mqueue":                  {Destination: "/dev/mqueue", Type: "mqueue"},
		"--dev /dev":                            {Destination: "/dev", Type: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		"":                                      {Destination: "/dev/pts", Type: "devpts", Options: []string{"ptmxmode=0666"}},
		"--perms 1777 --tmpfs /t":               {Destination: "/t", Type: "tmpfs"},
		"--size 65536 --perms 0700 --tmpfs /t2": {Destination: "/t2", Type: "tmpfs", Options: []string{"mode=0700", "nodev", "size=64k"}},
	} {
		got, err := bwrapMount(m, true)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%+v: %q, %v, want %q", m, got, err, want)
		}
	}
	for want, m := range map[string]specs.Mount{
		"no sysfs (/sys)":      {Destination: "/sys", Type: "sysfs"},
		"no tmpfs with noexec": {Destination: "/t", Type: "tmpfs", Options: []string{"noexec"}},
		"no tmpfs with size=1": {Destination: "/dev", Type: "tmpfs", Options: []string{"size=1"}},
		"no devpts with max=8": {Destination: "/dev/pts", Type: "devpts", Options: []string{"max=8"}},
		"a /dev of its own":    {Destination: "/pts", Type: "devpts"},
		"nothing with rshared": spec.Bind("/s", "/d", "rshared"),
		"nothing with suid":    spec.Bind("/s", "/d", "suid"),
		`size "x"`:             {Destination: "/t", Type: "tmpfs", Options: []string{"size=x"}},
		"no mqueue with ro":    {Destination: "/dev/mqueue", Type: "mqueue", Options: []string{"ro"}},
	} {
		if got, err := bwrapMount(m, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %q, %v, want %q", m, got, err, want)
		}
	}
}

func TestBytesOf(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "17": 17, "64k": 64 << 10, "5M": 5 << 20, "1g": 1 << 30} {
		if got, err := bytesOf(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "1.5k", "50%", "kk", "1kk", "99999999999999999g", "18446744073709551616"} {
		if got, err := bytesOf(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func FuzzBytesOf(f *testing.F) {
	for _, text := range []string{"64k", "17", "9g", "k"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := bytesOf(text)
		if err == nil && n != 0 && strings.Trim(text, "0123456789kKmMgG") != "" {
			t.Errorf("%q is %d", text, n)
		}
	})
}

// TestBwrapCovers looks for what is to be covered in a root directory and a volume with links in them.
// All of it lies in a directory of the test's own.
func TestBwrapCovers(t *testing.T) {
	dir := t.TempDir()
	root, volume, outside := filepath.Join(dir, "root"), filepath.Join(dir, "volume"), filepath.Join(dir, "outside")
	for _, d := range []string{root, volume, outside, filepath.Join(root, "dir"), filepath.Join(volume, "inner"), filepath.Join(outside, "secret")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{filepath.Join(root, "file"), filepath.Join(volume, "file")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "away")); err != nil {
		t.Fatal(err)
	}
	s := &specs.Spec{Root: &specs.Root{Path: root}, Linux: &specs.Linux{
		MaskedPaths: []string{"/dir", "/file", "/none", "/away/secret", "/v/inner", "/v/file", "/tmp/x", "/proc/self/status"},
		// A path that only looks as if it were in the volume.
		ReadonlyPaths: []string{"/dir", "/v/file", "/vfile", "/proc/sys"},
	}, Mounts: []specs.Mount{
		{Destination: "/proc", Type: "proc"}, {Destination: "/tmp", Type: "tmpfs"}, spec.Bind(volume, "/v"),
	}}
	want := []string{
		"--size", "4096", "--tmpfs", "/dir", "--remount-ro", "/dir", "--ro-bind", "/dev/null", "/file",
		"--size", "4096", "--tmpfs", "/v/inner", "--remount-ro", "/v/inner", "--ro-bind", "/dev/null", "/v/file",
		"--ro-bind", "/dev/null", "/proc/self/status",
		"--ro-bind", root + "/dir", "/dir", "--ro-bind", volume + "/file", "/v/file", "--ro-bind", "/proc/sys", "/proc/sys",
	}
	if got := bwrapCovers(s); !slices.Equal(got, want) {
		t.Errorf("covers\n%q, want\n%q", got, want)
	}
}

// TestBwrapCommand compares the whole line of a hardened container, and of one that root makes.
func TestBwrapCommand(t *testing.T) {
	w := &bwrap{path: "/usr/bin/bwrap", held: []string{"CAP_KILL", "CAP_SYS_ADMIN", "CAP_AUDIT_WRITE"}}
	o := spec.Options{Rootfs: t.TempDir(), Args: []string{"/p", "--", "-x"}, Capabilities: w.held, HostID: 5000, IDCount: 10}
	s, _ := w.Lacks().Apply(spec.New(spec.Hardened, o))
	s.Process.User = specs.User{UID: 3, GID: 4}
	s.Process.Env = []string{"A=b=c", "PATH=/bin"}
	var undo cleanup.Stack
	l, err := w.command(Bundle{Spec: s}, &undo)
	if err != nil {
		t.Fatal(err)
	}
	defer undo.Close()
	line := strings.Join(l.argv, " ")
	for _, want := range []string{
		"/usr/bin/bwrap --die-with-parent --new-session --unshare-user --unshare-pid --unshare-uts --unshare-ipc --unshare-net --unshare-cgroup --as-pid-1 --uid 3 --gid 4 --hostname cellwall --bind " + o.Rootfs + " / ",
		" --chdir / --clearenv --setenv A b=c --setenv PATH /bin --cap-drop ALL --cap-add CAP_AUDIT_WRITE --cap-add CAP_KILL --seccomp 3 -- /p -- -x",
	} {
		if !strings.Contains(line+"\n", want) {
			t.Errorf("the line\n%s\nhas no\n%s", line, want)
		}
	}
	if l.as == nil || l.as.Uid != 5003 || l.as.Gid != 5004 || !l.as.NoSetGroups || len(l.files) != 1 {
		t.Errorf("it runs as %+v with %d files", l.as, len(l.files))
	}
	if info, err := l.files[0].Stat(); err != nil || info.Size() == 0 || info.Size()%8 != 0 {
		t.Errorf("the filter has %d bytes, %v", info.Size(), err)
	}
	s, _ = w.Lacks().Apply(spec.New(spec.Namespaces, o))
	if l, err = w.command(Bundle{Spec: s}, &undo); err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(l.argv, " "); l.as != nil || strings.Contains(line, "--cap") || strings.Contains(line, "--uid") || len(l.files) > 0 {
		t.Errorf("with all capabilities and no user namespace: %s", line)
	}
}

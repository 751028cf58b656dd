package kernel

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseVersion(t *testing.T) {
	for release, want := range map[string]Version{
		"6.1.0-37-cloud-amd64": {Major: 6, Minor: 1},
		"5.10":                 {Major: 5, Minor: 10},
		"7.3-rc1":              {Major: 7, Minor: 3},
		"4.19.0+":              {Major: 4, Minor: 19},
	} {
		if got, err := ParseVersion(release); err != nil || got != want {
			t.Errorf("%q is %v (%v), want %v", release, got, err, want)
		}
	}
	for _, release := range []string{"", "6", "6.", ".1", "-6.1", "6.-1", "+6.1", " 6.1", "x.y", "6.99999"} {
		if got, err := ParseVersion(release); err == nil {
			t.Errorf("%q is %v, want an error", release, got)
		}
	}
	for _, tt := range []struct {
		v, w Version
		less bool
	}{
		{v: Version{Major: 5, Minor: 9}, w: Version{Major: 5, Minor: 10}, less: true},
		{v: Version{Major: 5, Minor: 10}, w: Version{Major: 6}, less: true},
		{v: Version{Major: 5, Minor: 10}, w: Version{Major: 5, Minor: 10}},
		{v: Version{Major: 6}, w: Version{Major: 5, Minor: 10}},
	} {
		if got := tt.v.Less(tt.w); got != tt.less {
			t.Errorf("%v less than %v: %v", tt.v, tt.w, got)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	for _, seed := range []string{"6.1.0-37-cloud-amd64", "5.10", "6", "6.x", "-1.2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, release string) {
		v, err := ParseVersion(release)
		if err != nil {
			return
		}
		if again, err := ParseVersion(v.String()); err != nil || again != v {
			t.Errorf("%q is %v, and that is %v (%v)", release, v, again, err)
		}
	})
}

func TestCgroupFiles(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n":                           "/",
		"4:memory:/a\n0::/b c\n":           "/b c",
		"9:name=systemd:/\n0::/x (deleted": "/x (deleted",
		"10::/a\n":                         "",
		"0::a\n":                           "",
		"":                                 "",
	} {
		if got, ok := cgroup2Path(text); got != want || ok != (want != "") {
			t.Errorf("%q gives %q, %v, want %q", text, got, ok, want)
		}
	}
	got := controllers("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t2\t1\nmemory\t0\t1\t0\nbad line\n")
	if want := map[string]bool{"cpu": true, "memory": false}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := Controller("no-such-controller"); !errors.Is(err, ErrNotSupported) {
		t.Errorf("a controller that is none: %v", err)
	}
	all, err := os.ReadFile("/proc/cgroups")
	if err != nil {
		t.Skip(err)
	}
	for name, enabled := range controllers(string(all)) {
		if err := Controller(name); (err == nil) != enabled {
			t.Errorf("%s: %v, enabled %v", name, err, enabled)
		}
	}
}

func FuzzCgroupFiles(f *testing.F) {
	for _, seed := range []string{"0::/a\n", "cpu\t1\t2\t1\n", "#a b c 1", "0::", "::::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if path, ok := cgroup2Path(text); ok && (!strings.HasPrefix(path, "/") || !strings.Contains(text, "0::"+path)) {
			t.Errorf("%q gives path %q", text, path)
		}
		for name := range controllers(text) {
			if name == "" || strings.HasPrefix(name, "#") || !strings.Contains(text, name) {
				t.Errorf("%q gives controller %q", text, name)
			}
		}
	})
}

// TestSwapAccounted looks at trees of each kind: of version 1, of version 2, and at a container's own.
func TestSwapAccounted(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{name: "v1", files: []string{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}},
		{name: "v1 without", files: []string{"memory.limit_in_bytes"}, want: "no file for swap"},
		{name: "v2", files: []string{"cgroup.procs", "system.slice/memory.max", "system.slice/memory.swap.max"}},
		{name: "v2 without", files: []string{"system.slice/memory.max"}, want: "no file for swap"},
		{name: "v2 without groups", files: []string{"cgroup.procs"}, want: "no cgroup with the memory controller"},
		{name: "root of a cgroup namespace", files: []string{"memory.max", "memory.swap.max"}},
	} {
		dir := t.TempDir()
		for _, name := range c.files {
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		err := swapAccounted([]string{dir})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSysctl(t *testing.T) {
	if got, err := Sysctl("kernel.ostype"); err != nil || got != "Linux" {
		t.Errorf("kernel.ostype is %q, %v", got, err)
	}
	if got, err := SysctlInt("kernel.cap_last_cap"); err != nil || got < 38 {
		t.Errorf("kernel.cap_last_cap is %d, %v", got, err)
	}
	if _, err := SysctlInt("kernel.ostype"); err == nil || errors.Is(err, ErrNotSupported) {
		t.Errorf("kernel.ostype as a number: %v", err)
	}
	if _, err := Sysctl("kernel.no_such"); !errors.Is(err, ErrNotSupported) {
		t.Errorf("no such sysctl: %v", err)
	}
	for _, name := range []string{"", "../self/status", "/etc/passwd", "kernel\x00"} {
		if text, err := Sysctl(name); err == nil || errors.Is(err, ErrNotSupported) {
			t.Errorf("%q gives %q, %v", name, text, err)
		}
	}
	links, err := Protected()
	if _, ok := links["symlinks"]; err != nil || !ok || len(links) != 4 {
		t.Errorf("fs.protected_*: %v, %v", links, err)
	}
	if limits, err := MaxNamespaces(); err != nil || len(limits) < 7 {
		t.Errorf("user.max_*_namespaces: %v, %v", limits, err)
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		err        error
		capability string
		want       Cause
	}{
		{err: unix.ENOSYS, want: NotBuilt},
		{err: unix.EINVAL, want: NotBuilt},
		{err: unix.EAFNOSUPPORT, want: NotBuilt},
		{err: unix.ENOSPC, want: Policy},
		{err: unix.EPERM, want: Policy},
		{err: unix.EPERM, capability: "CAP_63", want: NoPrivilege}, // nobody holds it
		{err: unix.EMFILE},
		{err: unix.ENOMEM},
		{err: errors.New("no errno")},
		{err: &unasked{name: "x", err: unix.ENOSYS}},
	} {
		got := refused(tt.err, tt.capability)
		if CauseOf(got) != tt.want || errors.Is(got, ErrNotSupported) != (tt.want != "") {
			t.Errorf("%v is %v, want cause %q", tt.err, got, tt.want)
		}
	}
	if err := refused(nil, ""); err != nil {
		t.Errorf("no error is %v", err)
	}
	if CauseOf(Unsupported("x")) != NotBuilt || CauseOf(errors.New("x")) != "" {
		t.Error("cause of an error that names none")
	}
}

func TestIDMappedMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		if err := IDMappedMounts("/"); !errors.Is(err, ErrNotSupported) {
			t.Errorf("without privilege: %v", err)
		}
		t.Skip("only root can make an id-mapped mount")
	}
	if err := IDMappedMounts("/proc"); !errors.Is(err, ErrNotSupported) {
		t.Errorf("proc has never had them: %v", err)
	}
	if err := IDMappedMounts("/no/such/directory"); err == nil || errors.Is(err, ErrNotSupported) {
		t.Errorf("a directory that is not there: %v", err)
	}
	if err := IDMappedMounts(t.TempDir()); err != nil && !errors.Is(err, ErrNotSupported) {
		t.Errorf("could not tell: %v", err)
	}
}

package cgroup

import (
	"path"
	"reflect"
	"strings"
	"testing"
)

const hybridMounts = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 /a /sys/fs/cgroup/memory\040two ro shared:5 master:2 - cgroup cgroup rw,memory,release_agent=/x
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
50 23 0:40 / /mnt rw - overlay overlay rw,lowerdir=/a - b
`

func TestParseMountinfo(t *testing.T) {
	got, err := parseMountinfo(strings.NewReader(hybridMounts))
	want := []mount{
		{root: "/", point: "/sys/fs/cgroup/cpu,cpuacct", controllers: []string{"cpu", "cpuacct"}},
		{root: "/a", point: "/sys/fs/cgroup/memory two", controllers: []string{"memory"}},
		{root: "/", point: "/sys/fs/cgroup/systemd", controllers: []string{"name=systemd"}},
		{root: "/", point: "/sys/fs/cgroup/unified", v2: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, line := range map[string]string{
		"short":          "41 31 0:38 / - cgroup2 cgroup2 rw",
		"no options":     "41 31 0:38 / /x rw - cgroup cgroup",
		"relative point": "41 31 0:38 / x rw - cgroup cgroup rw,cpu",
	} {
		if got, err := parseMountinfo(strings.NewReader(line)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestMode(t *testing.T) {
	for want, lines := range map[Mode]string{
		Hybrid: hybridMounts,
		V2:     "1 2 0:3 / /c rw - cgroup2 c rw\n1 2 0:4 / /s rw - cgroup c rw,name=systemd",
		V1:     "1 2 0:3 / /c rw - cgroup c rw,cpu",
	} {
		mounts, err := parseMountinfo(strings.NewReader(lines))
		if got := mode(mounts); got != want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestParseMemberships(t *testing.T) {
	got, err := parseMemberships(strings.NewReader("4:cpu,cpuacct:/a b:c\n1:name=systemd:/\n0::/x (deleted)\n"))
	want := []membership{
		{controllers: []string{"cpu", "cpuacct"}, path: "/a b:c"},
		{controllers: []string{"name=systemd"}, path: "/"},
		{path: "/x (deleted)"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, line := range []string{"x", "1:cpu", "1::/a", "2:cpu:a", ""} {
		if got, err := parseMemberships(strings.NewReader(line + "\n")); err == nil {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestLocate(t *testing.T) {
	for _, tt := range []struct{ root, point, path, want string }{
		{"/", "/c", "/", "/c"},
		{"/", "/c", "/a/b", "/c/a/b"},
		{"/docker/1", "/c", "/docker/1", "/c"}, // a container without a cgroup namespace
		{"/docker/1", "/c", "/docker/1/x", "/c/x"},
		{"/docker/1", "/c", "/docker/12", ""},
		{"/docker/1", "/c", "/", ""},
		{"/", "/c", "/../other", ""}, // outside of the reader's namespace
		{"/", "/c", "/..", ""},
		{"/..", "/c", "/../other", "/c/other"}, // but the mount was made there too
		{"/../..", "/c", "/../other", ""},
		{"/..", "/c", "/../../x", ""},
		{"/..", "/c", "/", ""}, // a name that the reader cannot know
	} {
		got, ok := mount{root: tt.root, point: tt.point}.locate(tt.path)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%+v: %q, %v", tt, got, ok)
		}
	}
}

func FuzzParseMountinfo(f *testing.F) {
	f.Add(hybridMounts, "/a/b")
	f.Add("1 2 3:4 /\\134 /\\040 rw - cgroup2 x rw", "/../x")
	f.Fuzz(func(t *testing.T, s, in string) {
		mounts, err := parseMountinfo(strings.NewReader(s))
		if err != nil {
			return
		}
		for _, m := range mounts {
			host, ok := m.locate(path.Join("/", in))
			if p := path.Clean(m.point); ok && host != p && !strings.HasPrefix(host, strings.TrimSuffix(p, "/")+"/") {
				t.Errorf("%+v locates %q at %q, outside of the mount", m, in, host)
			}
		}
	})
}

func FuzzParseMemberships(f *testing.F) {
	f.Add("4:cpu,cpuacct:/a b:c\n1:name=systemd:/\n0::/x\n", "/", "/mnt")
	f.Fuzz(func(t *testing.T, s, root, point string) {
		in, err := parseMemberships(strings.NewReader(s))
		if err != nil {
			return
		}
		for _, m := range in {
			if !path.IsAbs(m.path) {
				t.Errorf("relative path %q", m.path)
			}
			host, ok := mount{root: path.Join("/", root), point: path.Join("/", point)}.locate(m.path)
			if p := path.Join("/", point); ok && host != p && !strings.HasPrefix(host, strings.TrimSuffix(p, "/")+"/") {
				t.Errorf("%q is located at %q, outside of %q", m.path, host, p)
			}
		}
	})
}

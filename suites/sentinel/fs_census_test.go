package sentinel

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestDestinations(t *testing.T) {
	for _, c := range []struct {
		options []string
		want    bool
	}{
		{options: nil},
		{options: []string{"nodev", "noexec", "ro"}},
		{options: []string{"nosuid"}, want: true},
		{options: []string{"rnosuid"}, want: true},
		{options: []string{"nosuid", "suid"}},
		{options: []string{"rnosuid", "rsuid"}},
		{options: []string{"suid", "nosuid"}, want: true},
	} {
		s := &specs.Spec{Mounts: []specs.Mount{{Destination: "/other"}, {Destination: "/asks", Options: c.options}}}
		if got := destinations(s, "nosuid"); slices.Equal(got, []string{"/asks"}) != c.want {
			t.Errorf("options %q: %q", c.options, got)
		}
	}
	s := &specs.Spec{Mounts: []specs.Mount{
		{Destination: "/ro", Options: []string{"rw", "ro"}}, {Destination: "/rro", Options: []string{"rro"}}, {Destination: "/rw", Options: []string{"ro", "rw"}},
	}}
	if got := destinations(s, "ro"); !slices.Equal(got, []string{"/ro", "/rro"}) {
		t.Errorf("read-only: %q", got)
	}
}

// TestUnflagged: a directory at which no mount was made lies on another, and is not one without the flag.
func TestUnflagged(t *testing.T) {
	dir := t.TempDir()
	got, err := unflagged(os.Getpid(), "noexec", []string{"/", dir, filepath.Join(dir, "none")})
	if err != nil || !slices.Equal(got, []string{"/", dir + " (not mounted)"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPeered(t *testing.T) {
	const (
		private = "1 0 8:1 / /private rw - ext4 /dev/sda1 rw"
		shared  = "2 1 8:1 / /shared rw,nosuid shared:12 - ext4 /dev/sda1 rw"
		slave   = "3 1 8:1 / /slave rw master:12 - ext4 /dev/sda1 rw"
		both    = "4 1 8:1 / /both rw shared:13 master:12 propagate_from:11 - ext4 /dev/sda1 rw"
		decoy   = "5 1 0:9 / /decoy rw - tmpfs shared:12 rw"
		peer    = "6 1 8:1 /x /peer rw master:9 shared:12 - ext4 /dev/sda1 rw"
	)
	own := []string{private, shared, slave, both, decoy, peer}
	for _, c := range []struct {
		name   string
		others []string
		want   []string
	}{
		{name: "nothing"},
		{name: "private mounts", others: []string{private, slave, decoy}},
		{name: "another group", others: []string{"9 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw"}},
		{name: "a group of two", others: []string{"9 1 8:1 / / rw shared:12 - ext4 /dev/sda1 rw"}, want: []string{"/shared", "/peer"}},
		{name: "the group of a slave", others: []string{"9 1 8:1 / / rw shared:13 - ext4 /dev/sda1 rw"}, want: []string{"/both"}},
	} {
		if got := peered(own, c.others); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestUnasked(t *testing.T) {
	host := []string{
		"1 0 0:5 / /dev rw - devtmpfs udev rw", "2 0 0:30 / /run rw - tmpfs tmpfs rw", "3 0 0:22 / /proc rw - proc proc rw",
		"4 0 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "5 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw",
	}
	asked := &specs.Spec{
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc"}, {Destination: "/tmp", Type: "tmpfs"}, {Destination: "/dev/pts", Type: "devpts"}, {Destination: "/sys/fs/cgroup", Type: "cgroup"},
			{Destination: "/volume", Type: "bind", Options: []string{"bind"}}, {Destination: `/a volume\`, Type: "bind", Options: []string{"bind"}}, {Destination: "/all/", Type: "bind", Options: []string{"rbind"}},
		},
		Linux: &specs.Linux{MaskedPaths: []string{"/proc/keys"}, ReadonlyPaths: []string{"/etc/file"}},
	}
	for _, c := range []struct {
		line string
		want bool
	}{
		{line: "9 8 8:1 /root / rw - ext4 /dev/sda1 rw"},
		{line: "9 8 0:40 / /tmp rw - tmpfs tmpfs rw"},
		{line: "9 8 0:40 / /own rw - tmpfs tmpfs rw"}, // nothing of the host's
		{line: "9 8 0:22 / /proc rw - proc proc rw"},  // in the host's pid namespace
		{line: "9 8 0:28 /a /sys/fs/cgroup/a rw - cgroup2 cgroup2 rw"},
		{line: "9 8 8:1 /v /volume rw - ext4 /dev/sda1 rw"},
		{line: "9 8 0:30 /x /all/run rw - tmpfs tmpfs rw"},
		{line: "9 8 0:5 /null /proc/keys rw - devtmpfs udev rw"},
		{line: "9 8 8:1 /r/etc/file /etc/file ro - ext4 /dev/sda1 rw"},
		{line: "9 8 0:5 /null /dev/null rw - devtmpfs udev rw"},
		{line: `9 8 8:1 /v /a\040volume\134 rw - ext4 /dev/sda1 rw`},

		{line: "9 8 8:1 /etc /odd rw - ext4 /dev/sda1 rw", want: true},
		{line: "9 8 8:1 /etc /odd ro shared:3 master:2 - ext4 /dev/sda1 rw", want: true},
		{line: "9 8 8:2 / /odd rw - ext4 /dev/sda2 rw", want: true}, // not mounted on the host
		{line: "9 8 0:30 / /odd rw - tmpfs tmpfs rw", want: true},
		{line: "9 8 8:1 /tmp /tmp rw - ext4 /dev/sda1 rw", want: true}, // in the place of its own
		{line: "9 8 0:30 / /volume/run rw - tmpfs tmpfs rw", want: true},
		{line: "9 8 0:30 / /allocated rw - tmpfs tmpfs rw", want: true},
		{line: "9 8 0:5 /sda /dev/null rw - devtmpfs udev rw", want: true},
		{line: "9 8 0:5 /sda /dev/sda rw - devtmpfs udev rw", want: true},
		{line: "9 8 0:5 /null /odd/null rw - devtmpfs udev rw", want: true},
		{line: "9 8 0:30 / /dev/pts rw - devpts devpts rw", want: true}, // the host's
		{line: "9 8 0:5 / /dev rw - devtmpfs udev rw", want: true},
	} {
		if got := unasked([]string{c.line}, host, asked); (len(got) == 1) != c.want {
			t.Errorf("%s: %q", c.line, got)
		}
	}
}

func FuzzParseMount(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt2 rw,noatime shared:4 master:1 - ext3 /dev/root rw,errors=continue")
	f.Add("1 0 0:5 / / rw -")
	f.Add(`36 35 98:0 /a\134040 /b rw - ext3 /dev/root rw`)
	f.Add(`36 35 98:0 /a\040b /c\134d rw - ext3 /dev/root rw`)
	f.Fuzz(func(t *testing.T, line string) {
		m := parseMount(line)
		if !strings.Contains(line, m.device) || !strings.Contains(line, m.group) || !strings.Contains(unescape(line), m.root) || !strings.Contains(unescape(line), m.point) {
			t.Errorf("%+v is not in %q", m, line)
		}
		if m.group != "" && !strings.HasPrefix(m.group, "shared:") {
			t.Errorf("group %q", m.group)
		}
	})
}

// TestWritableMounts reads lines of mountinfo.
func TestWritableMounts(t *testing.T) {
	lines := []string{
		"1 0 0:20 / /sys ro,nosuid - sysfs sysfs rw",
		"2 0 0:20 / /frozen rw - sysfs sysfs ro",
		"3 0 0:20 / /tmp/sys rw,relatime shared:3 - sysfs sysfs rw",
		"4 0 0:21 / /tmp rw - tmpfs sysfs rw",
		"5 0 0:22 / /cut rw - sysfs",
	}
	if got, want := writableMounts(lines, "sysfs"), []string{"/tmp/sys"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

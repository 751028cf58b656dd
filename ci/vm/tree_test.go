package vm

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/ci/kernels"
	"cellwall/ci/vm/guest"
)

func TestPut(t *testing.T) {
	tr := tree{}
	for _, c := range []struct {
		name string
		node node
		at   string // where it lies, "" for an error
	}{
		{"/usr/bin", directory(0o755), "usr/bin"},
		{"/bin", symlink("usr/bin"), "bin"},
		{"/bin/sh", text([]byte("sh")), "usr/bin/sh"},
		{"/a/../b//c", text(nil), "b/c"},
		{"/abs", symlink("/usr/bin"), "abs"},
		{"/abs/x/y", text(nil), "usr/bin/x/y"},
		{"/loop", symlink("loop"), "loop"},
		{"/loop/x", text(nil), ""},
		{"/up", symlink("../../.."), "up"},
		{"/up/z", text(nil), "z"},
		{"/bin/sh/x", text(nil), ""},
		{"/usr", symlink("x"), ""}, // it has files
		{"rel", text(nil), ""},
		{"/", text(nil), ""},
		{"/..", text(nil), ""},
		{"/a\x00", text(nil), ""},
	} {
		before := len(tr)
		err := tr.put(c.name, c.node)
		if c.at == "" {
			if err == nil {
				t.Errorf("%q was put", c.name)
			}
			continue
		}
		if got, ok := tr[c.at]; err != nil || !ok || got.mode != c.node.mode || len(tr) == before {
			t.Errorf("%q: %v, %v", c.name, got, err)
		}
	}
}

func FuzzPut(f *testing.F) {
	f.Add("/a/b", "/c", "../a", "/c/d")
	f.Fuzz(func(t *testing.T, first, link, target, last string) {
		tr := tree{}
		_ = tr.put(first, text(nil))
		_ = tr.put(link, symlink(target))
		_ = tr.put(last, text(nil))
		for name := range tr {
			if strings.HasPrefix(name, "/") || name != filepath.Clean(name) || name == ".." || strings.HasPrefix(name, "../") {
				t.Errorf("%q is outside or spelled twice", name)
			}
			if dir := filepath.Dir(name); dir != "." && !tr[dir].is(unix.S_IFDIR) {
				t.Errorf("%q lies in something that is no directory", name)
			}
		}
	})
}

func unpacked(t *testing.T, g Guest) map[string]member {
	t.Helper()
	f, _, err := g.initramfs()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := readNewc(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]member{}
	for _, m := range list {
		if dir := filepath.Dir(m.name); dir != "." && all[dir].mode&unix.S_IFMT != unix.S_IFDIR {
			t.Errorf("%s comes before its directory", m.name)
		}
		all[m.name] = m
	}
	return all
}

func TestInitramfs(t *testing.T) {
	program := elfFile(t, elf.EM_X86_64, map[string]string{".text": "init"})
	tool := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(tool, []byte("tool"), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tool, 0o711|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	passwd := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(passwd, []byte("me"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := Guest{
		Kernel: kernels.Kernel{Arch: "amd64"}, Program: program, Command: []string{"/cellwall", "x"}, Cgroup: guest.V1,
		Files: []File{
			{Path: "/bin", Target: "usr/bin"}, {Path: "/bin/tool", Source: tool}, {Path: "/bin/other", Target: "tool"},
			{Path: "/etc/passwd", Source: passwd}, {Path: "/opt/x"}, {Path: "/init", Source: tool},
		},
	}
	all := unpacked(t, g)
	for name, want := range map[string]struct {
		mode uint32
		body string
	}{
		"bin": {unix.S_IFLNK | 0o777, "usr/bin"}, "usr/bin/tool": {unix.S_IFREG | 0o755, "tool"}, "usr/bin/other": {unix.S_IFLNK | 0o777, "tool"},
		"etc/passwd": {unix.S_IFREG | 0o644, "me"}, "opt/x": {unix.S_IFDIR | 0o755, ""}, "tmp": {unix.S_IFDIR | 0o1777, ""},
		"dev/console": {unix.S_IFCHR | 0o600, ""}, "init": {unix.S_IFLNK | 0o777, "/cellwall"},
	} {
		if got := all[name]; got.mode != want.mode || string(got.body) != want.body {
			t.Errorf("%s: mode %o, %.80q", name, got.mode, got.body)
		}
	}
	if c := all["dev/console"]; c.major != 5 || c.minor != 1 {
		t.Errorf("console %d:%d", c.major, c.minor)
	}
	if want, err := os.ReadFile(program); err != nil || !bytes.Equal(all["cellwall"].body, want) || all["cellwall"].mode&0o111 != 0o111 {
		t.Errorf("the program: %v", err)
	}
	var d guest.Description
	if err := json.Unmarshal(all["cellwall-guest.json"].body, &d); err != nil || d.Cgroup != guest.V1 || !slices.Equal(d.Command, g.Command) || len(d.Seed) != 64 {
		t.Errorf("%+v, %v", d, err)
	}
	if bytes.Equal(d.Seed, make([]byte, 64)) {
		t.Error("the seed is zero")
	}
}

func TestInitramfsThatCannotBe(t *testing.T) {
	for want, file := range map[string]File{
		"no such file":  {Path: "/x", Source: "/none/at/all"},
		"is not a file": {Path: "/x", Source: t.TempDir()},
		"put \"x\"":     {Path: "x"},
	} {
		g := Guest{Kernel: kernels.Kernel{Arch: "amd64"}, Program: elfFile(t, elf.EM_X86_64, nil), Command: []string{"/a"}, Files: []File{file}}
		if f, _, err := g.initramfs(); f != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", file, err)
		}
	}
	g := Guest{Kernel: kernels.Kernel{Arch: "amd64", Modules: "/none/at/all"}}
	if _, _, err := g.initramfs(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no modules: %v", err)
	}
}

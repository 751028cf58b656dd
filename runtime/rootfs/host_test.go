package rootfs

import (
	"bytes"
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// host makes a host directory from "path" -> content: text, fakeELF, or link("target").
type link string

func host(t *testing.T, files map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch v := files[name].(type) {
		case link:
			err = os.Symlink(string(v), path)
		case fakeELF:
			err = os.WriteFile(path, v.bytes(), 0o755)
		case string:
			err = os.WriteFile(path, []byte(v), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	ld   = "/lib64/ld-linux-x86-64.so.2"
	tlib = "usr/lib/x86_64-linux-gnu/"
)

func TestFromHostBringsWhatTheLoaderWouldFind(t *testing.T) {
	lib := fakeELF{}
	for _, c := range []struct {
		name  string
		files map[string]any
		want  []string // path, or path -> target
	}{
		{"static", map[string]any{"usr/bin/p": fakeELF{}}, []string{"/usr/bin/p"}},
		{"merged usr, soname link, transitive", map[string]any{
			"bin": link("usr/bin"), "lib": link("usr/lib"), "lib64": link("usr/lib64"),
			"usr/bin/p":                      fakeELF{interpreter: ld, needed: []string{"liba.so.1"}},
			"usr/lib64/ld-linux-x86-64.so.2": link("../lib/x86_64-linux-gnu/ld.so"),
			tlib + "ld.so":                   lib,
			tlib + "liba.so.1":               link("liba.so.1.2"),
			tlib + "liba.so.1.2":             fakeELF{needed: []string{"libb.so"}},
			tlib + "libb.so":                 lib,
			tlib + "libunused.so":            lib,
		}, []string{
			"/usr/bin/p", "/lib64 -> usr/lib64", "/usr/lib64/ld-linux-x86-64.so.2 -> ../lib/x86_64-linux-gnu/ld.so", "/" + tlib + "ld.so",
			"/lib -> usr/lib", "/" + tlib + "liba.so.1 -> liba.so.1.2", "/" + tlib + "liba.so.1.2", "/" + tlib + "libb.so", "/bin -> usr/bin",
		}},
		{"runpath with origin, first before the default", map[string]any{
			"usr/bin/p": link("/opt/x/bin/p"), "opt/x/bin/p": fakeELF{runpath: "/nowhere:$ORIGIN/../lib", needed: []string{"liba.so"}},
			"opt/x/lib/liba.so": lib, "lib/liba.so": lib,
		}, []string{"/usr/bin/p -> /opt/x/bin/p", "/opt/x/bin/p", "/opt/x/lib/liba.so"}},
		{"rpath is inherited", map[string]any{
			"usr/bin/p":   fakeELF{rpath: "/opt", needed: []string{"liba.so"}},
			"opt/liba.so": fakeELF{needed: []string{"libb.so"}}, "opt/libb.so": lib, "lib/libb.so": lib,
		}, []string{"/usr/bin/p", "/opt/liba.so", "/opt/libb.so"}},
		{"runpath is not inherited", map[string]any{
			"usr/bin/p":   fakeELF{runpath: "/opt", needed: []string{"liba.so"}},
			"opt/liba.so": fakeELF{needed: []string{"libb.so"}}, "opt/libb.so": lib, "lib/libb.so": lib,
		}, []string{"/usr/bin/p", "/opt/liba.so", "/lib/libb.so"}},
		{"rpath is ignored beside a runpath", map[string]any{
			"usr/bin/p": fakeELF{rpath: "/bad", runpath: "/opt", needed: []string{"liba.so"}}, "bad/liba.so": lib, "opt/liba.so": lib,
		}, []string{"/usr/bin/p", "/opt/liba.so"}},
		{"LIB and PLATFORM", map[string]any{
			"usr/bin/p":              fakeELF{runpath: "/o/${LIB}/$PLATFORM", needed: []string{"liba.so"}},
			"o/lib64/x86_64/liba.so": lib,
		}, []string{"/usr/bin/p", "/o/lib64/x86_64/liba.so"}},
		{"another machine is passed over", map[string]any{
			"usr/bin/p": fakeELF{needed: []string{"liba.so"}}, tlib + "liba.so": fakeELF{machine: elf.EM_AARCH64}, "usr/lib/liba.so": lib,
		}, []string{"/usr/bin/p", "/usr/lib/liba.so"}},
		{"ld.so.conf with include needs the cache", map[string]any{
			"usr/bin/p": fakeELF{needed: []string{"liba.so"}}, "opt/liba.so": lib,
			"etc/ld.so.conf": "# x\ninclude ld.so.conf.d/*.conf\n", "etc/ld.so.conf.d/a.conf": "/opt\n", "etc/ld.so.cache": "cache",
		}, []string{"/usr/bin/p", "/etc/ld.so.cache", "/opt/liba.so"}},
		{"needed by path; soname serves the second", map[string]any{
			"usr/bin/p": fakeELF{needed: []string{"/opt/liba-real.so", "liba.so"}}, "opt/liba-real.so": fakeELF{soname: "liba.so"},
		}, []string{"/usr/bin/p", "/opt/liba-real.so"}},
		{"cycle", map[string]any{
			"usr/bin/p": fakeELF{needed: []string{"liba.so"}}, "lib/liba.so": fakeELF{needed: []string{"libb.so"}}, "lib/libb.so": fakeELF{needed: []string{"liba.so"}},
		}, []string{"/usr/bin/p", "/lib/liba.so", "/lib/libb.so"}},
		{"musl", map[string]any{
			"usr/bin/p":               fakeELF{interpreter: "/lib/ld-musl-x86_64.so.1", needed: []string{"libc.musl-x86_64.so.1", "libz.so.1"}},
			"lib/ld-musl-x86_64.so.1": lib, "usr/lib/libz.so.1": lib,
		}, []string{"/usr/bin/p", "/lib/ld-musl-x86_64.so.1", "/usr/lib/libz.so.1"}},
		{"script", map[string]any{"usr/bin/p": "#! /bin/sh -e\n", "bin/sh": link("dash"), "bin/dash": fakeELF{}},
			[]string{"/usr/bin/p", "/bin/sh -> dash", "/bin/dash"}},
		{"script by env", map[string]any{"usr/bin/p": "#!/usr/bin/env -S A=b q -x\n", "usr/bin/env": fakeELF{}, "usr/bin/q": fakeELF{}},
			[]string{"/usr/bin/p", "/usr/bin/env", "/usr/bin/q"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			prefix := host(t, c.files)
			defer unchanged(t, prefix)()
			h, err := fromHost(prefix, "relative::/nowhere:/usr/bin", t.TempDir(), []string{"p"})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			var got []string
			for _, f := range h.Files {
				s := f.Path
				if f.Target != "" {
					s += " -> " + f.Target
				}
				got = append(got, s)
				if len(f.For) == 0 || f.For[0] == "" {
					t.Errorf("%s: nobody needs it", f.Path)
				}
				same(t, prefix, h.Path(), f)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
			if !slices.Equal(h.Binaries, []string{"/usr/bin/p"}) {
				t.Errorf("binaries %q", h.Binaries)
			}
		})
	}
}

// same checks that f was copied, and is not the host's own file.
func same(t *testing.T, prefix, root string, f File) {
	t.Helper()
	if f.Target != "" {
		if got, err := os.Readlink(root + f.Path); err != nil || got != f.Target {
			t.Errorf("%s -> %q, %v", f.Path, got, err)
		}
		return
	}
	a, errA := os.ReadFile(prefix + f.Path)
	b, errB := os.ReadFile(root + f.Path)
	if errA != nil || errB != nil || !bytes.Equal(a, b) || f.Size != int64(len(a)) {
		t.Errorf("%s differs: %v, %v, size %d", f.Path, errA, errB, f.Size)
	}
	ia, _ := os.Stat(prefix + f.Path)
	ib, _ := os.Stat(root + f.Path)
	if os.SameFile(ia, ib) {
		t.Errorf("%s is a link to the host's file", f.Path)
	}
}

func TestFromHostNeverBringsSetuid(t *testing.T) {
	prefix := host(t, map[string]any{"bin/su": fakeELF{}})
	if err := os.Chmod(filepath.Join(prefix, "bin/su"), 0o711|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	h, err := fromHost(prefix, "/bin", t.TempDir(), []string{"su"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if info, err := os.Stat(h.Path() + "/bin/su"); err != nil || info.Mode() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFromHostBadInput(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]any
		ask   []string
		want  string
	}{
		{"nothing asked", nil, nil, "name at least one binary"},
		{"not there", nil, []string{"p"}, `binary "p": not found in $PATH`},
		{"empty name", nil, []string{""}, `binary "": not found in $PATH`},
		{"a directory", map[string]any{"bin/p/x": ""}, []string{"p"}, `binary "p": "/bin/p" is not an executable file`},
		{"library", map[string]any{"bin/p": fakeELF{needed: []string{"libmissing.so"}}}, []string{"p"}, `binary "p": library "libmissing.so", needed by "/bin/p": not found`},
		{"library of a library", map[string]any{"bin/p": fakeELF{needed: []string{"liba.so"}}, "lib/liba.so": fakeELF{needed: []string{"libmissing.so"}}},
			[]string{"p"}, `binary "p": library "libmissing.so", needed by "/lib/liba.so": not found`},
		{"loader", map[string]any{"bin/p": fakeELF{interpreter: "/lib/ld.so"}}, []string{"p"}, `binary "p": loader "/lib/ld.so": `},
		{"interpreter", map[string]any{"bin/p": "#!/bin/missing\n"}, []string{"p"}, `binary "p": interpreter of "/bin/p": open /bin/missing: no such file`},
		{"interpreter loop", map[string]any{"bin/p": "#!/bin/p\n"}, []string{"p"}, "too many levels of symbolic links"},
		{"link loop", map[string]any{"bin/p": link("p")}, []string{"p"}, "too many levels of symbolic links"},
		{"text", map[string]any{"bin/p": "hello"}, []string{"p"}, `binary "p": "/bin/p" is neither an ELF program nor a script`},
		{"cut ELF", map[string]any{"bin/p": "\x7fELF\x02\x01"}, []string{"p"}, `binary "p": read "/bin/p": `},
		{"ld.so.conf includes itself", map[string]any{"bin/p": fakeELF{needed: []string{"liba.so"}}, "etc/ld.so.conf": "include /etc/ld.so.conf"},
			[]string{"p"}, "included more than 10 deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			defer unchanged(t, dir)()
			_, err := fromHost(host(t, c.files), "/bin", dir, c.ask)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestParseConf(t *testing.T) {
	text := "hwcap 1 nosegneg\n/a, /b:/c\t/d=libc6 # /e\n  include x/*.conf /y.conf\nrelative\n/f//g/"
	got := fmt.Sprint(parseConf(text))
	if want := "[{/a } {/b } {/c } {/d } { x/*.conf} { /y.conf} {/f/g }]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParseConf(f *testing.F) {
	f.Add("/a:/b\ninclude *.conf\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range parseConf(text) {
			if (l.directory == "") == (l.include == "") || l.directory != "" && !filepath.IsAbs(l.directory) {
				t.Errorf("%q: %+v", text, l)
			}
		}
	})
}

func FuzzParseShebang(f *testing.F) {
	f.Add([]byte("#!/usr/bin/env -S a b\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		s, ok := parseShebang(head[:min(len(head), shebangMax)])
		if ok && (!filepath.IsAbs(s.interpreter) || strings.ContainsAny(s.interpreter, " \t\n\x00")) {
			t.Errorf("%q: %+v", head, s)
		}
		_ = s.envProgram()
	})
}

package kernels

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestCompareVersions(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg is not on this host: it is Debian's")
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"6.1.99-1", "6.1.176-1", -1}, {"6.12.117-1", "6.12.117-1~deb12u1", 1}, {"7.0~rc7-1~exp1", "7.0-1", -1}, {"1.0", "1.00", 0}} {
		if got := compareVersions(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestParseStanzas(t *testing.T) {
	text := "Package: linux-image-1\nVersion: 1-1\nDescription: x\n SHA256: no\nSize: 42\nDepends: kmod, linux-modules-1:any (= 1-1) | linux-modules-2, linux-base (>= 4.3~), linux-binary-1 (>= 1)\nSHA256: " + strings.ToUpper(sum64) +
		"\n\nPackage: linux-image-2\nVersion: 1\n\nPackage: ../x\nVersion: 1\nSHA256: " + sum64 + "\n\nPackage: linux-image-3\nVersion: 1\nSize: 9x\nSHA256: " + sum64 + "\n"
	got := parseStanzas(text)
	if len(got) != 2 || got[0].Deb != (Deb{Package: "linux-image-1", Version: "1-1", SHA256: sum64}) || got[0].size != 42 || got[1].Package != "linux-image-3" || got[1].size != 0 {
		t.Fatalf("got %+v", got)
	}
	want := [][]dependency{{{name: "linux-modules-1", version: "1-1"}, {name: "linux-modules-2"}}, {{name: "linux-binary-1"}}}
	if parts := got[0].parts(); !reflect.DeepEqual(parts, want) {
		t.Errorf("got %+v, want %+v", parts, want)
	}
}

func FuzzParseStanzas(f *testing.F) {
	f.Add("Package: linux-image-1\nVersion: 1\nDepends: linux-image-2 (= 1) | a, b\nSHA256: " + sum64 + "\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseStanzas(text) {
			for _, choices := range s.parts() {
				for _, d := range choices {
					if !aPackage.MatchString(d.name) || strings.ContainsAny(d.name+d.version, " ,|)") {
						t.Errorf("%+v", d)
					}
				}
			}
			if s.size < 0 || strings.ContainsAny(s.Package+s.Version, " \n/=") {
				t.Errorf("%+v", s)
			}
		}
	})
}

func arm64Image() string {
	raw := make([]byte, 0x100)
	copy(raw[0x38:], "ARM\x64")
	copy(raw[0x60:], "Linux version %s\x00Linux version 6.12.1+deb13-arm64 (x) #1\x00")
	return string(raw)
}

func portableImage(machine uint16) string {
	raw := make([]byte, 0x80)
	copy(raw, "MZ\x00\x00zimg")
	raw[0x3c] = 0x40
	copy(raw[0x40:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(raw[0x44:], machine)
	return string(raw)
}

func gzipped(t testing.TB, text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestInspect(t *testing.T) {
	noVersion := []byte(bzImage("x"))
	noVersion[0x20e], noVersion[0x20f] = 0, 0
	far := []byte(bzImage("x"))
	far[0x20e], far[0x20f] = 0xff, 0xff
	for _, c := range []struct{ name, raw, arch, release, fail string }{
		{"bzImage", bzImage("6.1.0-50-cloud-amd64"), "amd64", "6.1.0-50-cloud-amd64", ""},
		{"Image", arm64Image(), "arm64", "6.12.1+deb13-arm64", ""},
		{"Image.gz", gzipped(t, arm64Image()), "arm64", "6.12.1+deb13-arm64", ""},
		{"arm64 that unpacks itself", portableImage(0xaa64), "arm64", "", ""},
		{"amd64 that unpacks itself", portableImage(0x8664), "amd64", "", ""},
		{"another machine", portableImage(0x1c2), "", "", "for neither"},
		{"no PE header", portableImage(0xaa64)[:0x42], "", "", "for neither"},
		{"empty", "", "", "", "no kernel for amd64"},
		{"text", "#!/bin/sh\n", "", "", "no kernel for amd64"},
		{"vmlinux", "\x7fELF", "", "", "take arch/x86/boot/bzImage"},
		{"gzip cut short", gzipped(t, arm64Image())[:20], "", "", "unpack the kernel"},
		{"no version", string(noVersion), "", "", "names no version"},
		{"a version far away", string(far), "", "", "names no version"},
		{"cut behind the magic", bzImage("x")[:0x208], "", "", "cut short"},
		{"a release that is a path", bzImage("../../etc"), "", "", "is none"},
		{"arm64 without a banner", arm64Image()[:0x68], "", "", "names no version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			arch, release, err := inspect(strings.NewReader(c.raw))
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("got %v, want %s", err, c.fail)
				}
			} else if arch != c.arch || release != c.release || err != nil {
				t.Errorf("%q, %q, %v", arch, release, err)
			}
		})
	}
}

func FuzzInspect(f *testing.F) {
	for _, raw := range []string{bzImage("6.1"), arm64Image(), portableImage(0xaa64), gzipped(f, "x"), "\x7fELF"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		arch, release, err := inspect(bytes.NewReader(raw))
		if err == nil && (!slices.Contains(arches, arch) || release != "" && !aRelease.MatchString(release)) {
			t.Errorf("%q, %q", arch, release)
		}
	})
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	image, zboot, modules := put("bzImage", bzImage("6.18.0")), put("zboot", portableImage(0xaa64)), filepath.Dir(put("lib/modules/6.18.0/x.ko", ""))
	file := put("6.18.0", "")
	for _, c := range []struct {
		name          string
		e             Entry
		release, fail string
	}{
		{"an image", Entry{Arch: "amd64", Image: image}, "6.18.0", ""},
		{"with modules", Entry{Arch: "amd64", Image: image, Modules: modules}, "6.18.0", ""},
		{"its modules tell", Entry{Arch: "arm64", Image: zboot, Modules: modules}, "6.18.0", ""},
		{"nothing tells", Entry{Arch: "arm64", Image: zboot}, "", "does not tell its release: name its modules"},
		{"another arch", Entry{Arch: "arm64", Image: image}, "", "is for amd64, and the entry says arm64"},
		{"modules of another", Entry{Arch: "amd64", Image: image, Modules: filepath.Join(dir, "6.17.0")}, "", "are the modules of another"},
		{"modules that are a file", Entry{Arch: "amd64", Image: image, Modules: file}, "", "is no directory"},
		{"no modules", Entry{Arch: "amd64", Image: image, Modules: filepath.Join(dir, "x/6.18.0")}, "", "no such file"},
		{"no image", Entry{Arch: "amd64", Image: filepath.Join(dir, "nosuch")}, "", "nosuch: no such file"},
		{"no kernel", Entry{Arch: "amd64", Image: file}, "", "no kernel for amd64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.e.Name, c.e.File, c.e.Line = "mine", "matrix.yaml", 3
			k, err := (&Cache{Dir: filepath.Join(dir, "never")}).Fetch(t.Context(), c.e, nil)
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) || !strings.HasPrefix(err.Error(), "matrix.yaml:3: kernel mine: ") {
					t.Errorf("got %v, want %s", err, c.fail)
				}
			} else if want := (Kernel{Name: "mine", Release: c.release, Arch: c.e.Arch, Image: c.e.Image, Modules: c.e.Modules}); err != nil || k != want {
				t.Errorf("%+v, %v", k, err)
			}
		})
	}
	if !missing(filepath.Join(dir, "never")) {
		t.Error("a cache was made")
	}
}

// TestFilter: of a package only plain files of a kernel go on, under names that lead nowhere else.
// TestFilterRefuses: what leads out of a kernel, or ends too early, is an error.
func FuzzNeeded(f *testing.F) {
	for _, name := range []string{"./boot/vmlinuz-6.1", "usr/lib/modules/6.1/vmlinuz", "lib/modules/6.1/../../x"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := needed(name)
		if got == "" {
			return
		}
		if !filepath.IsLocal(got) || filepath.Clean(got) != got || !strings.HasPrefix(got, "boot/vmlinuz-") && !strings.HasPrefix(got, "lib/modules/") {
			t.Errorf("%q becomes %q", name, got)
		}
	})
}

package kernels

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		name, want string
	}{
		{"./boot/vmlinuz-6.1", "boot/vmlinuz-6.1"}, {"boot/vmlinuz-6.1", "boot/vmlinuz-6.1"}, {"usr/lib/modules/6.1/vmlinuz", "boot/vmlinuz-6.1"},
		{"./usr/lib/modules/6.1/kernel/a.ko", "lib/modules/6.1/kernel/a.ko"}, {"lib/modules/6.1/", "lib/modules/6.1"},
		{"boot/vmlinuz-../x", ""}, {"boot/vmlinuz-", ""}, {"boot/vmlinuz", ""}, {"boot/config-6.1", ""}, {"boot/a/vmlinuz-6.1", ""}, {"boot", ""}, {"lib/modules", ""},
		{"lib/modules/../../etc/passwd", ""}, {"lib/modules/6.1/../../../etc/passwd", ""}, {"/etc/passwd", ""}, {"", ""}, {"lib/modules/.x/a", ""}, {"lib/modules/6.1/../../modules/6.2/a", "lib/modules/6.2/a"},
	} {
		if got := needed(c.name); got != c.want {
			t.Errorf("%q: %q, want %q", c.name, got, c.want)
		}
	}
	var in, out bytes.Buffer
	w := tar.NewWriter(&in)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./lib/modules/6.1/", Mode: 0o7777, Uid: 9},
		{Typeflag: tar.TypeReg, Name: "./lib/modules/6.1/a.ko", Mode: 0o6755, Uid: 9, Uname: "x", Size: 1},
		{Typeflag: tar.TypeLink, Name: "./lib/modules/6.1/b.ko", Linkname: "./lib/modules/6.1/a.ko"},
		{Typeflag: tar.TypeSymlink, Name: "./lib/modules/6.1/build", Linkname: "/etc"},
		{Typeflag: tar.TypeChar, Name: "./lib/modules/6.1/null", Devmajor: 1, Devminor: 3},
		{Typeflag: tar.TypeReg, Name: "./etc/passwd", Size: 1},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, strings.Repeat("x", int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	o := tar.NewWriter(&out)
	if err := errors.Join(filter(o, &in), o.Close()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Mode&^0o777 != 0 || h.Uname != "" {
			t.Errorf("%+v", h)
		}
		got = append(got, string(h.Typeflag)+" "+h.Name+" "+h.Linkname)
	}
	if want := []string{"5 lib/modules/6.1 ", "0 lib/modules/6.1/a.ko ", "1 lib/modules/6.1/b.ko lib/modules/6.1/a.ko"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFilterRefuses(t *testing.T) {
	var link bytes.Buffer
	w := tar.NewWriter(&link)
	if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: "lib/modules/6.1/a", Linkname: "../../victim"}), w.Close()); err != nil {
		t.Fatal(err)
	}
	var cut bytes.Buffer
	w = tar.NewWriter(&cut)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "lib/modules/6.1/a", Size: 9}); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{link.String(): "which is no part of a kernel", cut.String(): "unexpected EOF", "x": "unexpected EOF"} {
		if err := filter(tar.NewWriter(io.Discard), strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	broken := filepath.Join(t.TempDir(), "x.deb")
	if err := os.WriteFile(broken, []byte("!<arch>\nx"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("dpkg-deb"); err == nil {
		if _, err := unpack(t.Context(), t.TempDir(), []string{broken}); err == nil || !strings.Contains(err.Error(), "unpack x.deb: dpkg-deb: error: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v", err)
		}
	}
}

package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// entry is a shorthand for a header; the mode defaults to 0644, or 0755 for a directory.
type entry struct {
	tar.Header
	text string
}

func file(name, text string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, text}
}
func dir(name string) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, ""}
}
func sym(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}, ""}
}
func hard(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}, ""}
}
func special(kind byte, name string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Mode: 0o666, Devmajor: 1, Devminor: 3}, ""}
}

func (e entry) mode(m int64) entry { e.Mode = m; return e }
func (e entry) uid(id int) entry   { e.Uid = id; return e }

func makeTar(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.text))
		if e.Uid == 0 {
			e.Uid, e.Gid = os.Geteuid(), os.Getegid()
		}
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// patched rewrites bytes of the first header, and its checksum, into what no writer would make.
func patched(raw []byte, at int, text string) []byte {
	raw = bytes.Clone(raw)
	copy(raw[at:], text)
	copy(raw[148:156], "        ")
	sum := 0
	for _, c := range raw[:512] {
		sum += int(c)
	}
	for i := 5; i >= 0; i, sum = i-1, sum>>3 {
		raw[148+i] = '0' + byte(sum&7)
	}
	raw[154] = 0
	return raw
}

// hostile returns a host directory: victims, which must not change, a parent for roots, and the
// archive.
func hostile(t testing.TB, raw []byte) (victims, parent, archive string) {
	t.Helper()
	top := t.TempDir()
	victims, parent = filepath.Join(top, "victims"), filepath.Join(top, "parent")
	write(t, filepath.Join(victims, "secret"), "secret", 0o600)
	write(t, filepath.Join(victims, "dir", "file"), "file", 0o644)
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	return victims, parent, write(t, filepath.Join(top, "a.tar"), string(raw), 0o644)
}

// Every attack aims at victims or at a name that no host has, never at a real path of the host:
// these tests run as root, and must do no harm where the code under test is broken.
func TestHostileArchives(t *testing.T) {
	long := strings.Repeat("n", 256)
	// Relative to the root, if the kernel were to follow it on the host.
	const up = "../../victims"
	for _, c := range []struct {
		name    string
		entries []entry
		fail    string   // part of the error
		want    []string // without the root itself
		skipped string
	}{
		{name: "dotdot", entries: []entry{file("../../victims/secret", "bad")}, fail: `entry "../../victims/secret": name holds ".."`},
		{name: "dotdot inside", entries: []entry{file("a/../b", "bad")}, fail: `name holds ".."`},
		{name: "absolute name lands inside", entries: []entry{file("/cellwall-inside/x", "in")}, want: []string{"drwxr-xr-x cellwall-inside", `-rw-r--r-- cellwall-inside/x "in"`}},
		{name: "write through a relative link", entries: []entry{sym("l", up), file("l/secret", "bad")}, fail: `entry "l/secret": no such file`},
		{name: "write through a link to an absolute name", entries: []entry{dir("cellwall-inside"), sym("l", "/cellwall-inside"), file("l/x", "in")}, want: []string{"drwxr-xr-x cellwall-inside", `-rw-r--r-- cellwall-inside/x "in"`, "Lrwxrwxrwx l -> /cellwall-inside"}},
		{name: "write through a chain of links", entries: []entry{dir("d"), sym("d/a", ".."), sym("b", "d/a/"+up), file("b/secret", "bad")}, fail: "no such file"},
		{name: "file replaces a link and does not follow it", entries: []entry{sym("l", up+"/secret"), file("l", "mine")}, want: []string{`-rw-r--r-- l "mine"`}},
		{name: "directory replaces a link and does not follow it", entries: []entry{sym("l", up), dir("l").mode(0o700), file("l/secret", "in")}, want: []string{"drwx------ l", `-rw-r--r-- l/secret "in"`}},
		{name: "file replaces a directory that holds a link out", entries: []entry{dir("d"), sym("d/l", up), file("d", "in")}, want: []string{`-rw-r--r-- d "in"`}},
		{name: "hard link out by dotdot", entries: []entry{hard("h", up+"/secret"), file("h", "bad")}, fail: `hard link to "../../victims/secret": name holds ".."`},
		{name: "hard link out by a link", entries: []entry{sym("l", up), hard("h", "l/secret")}, fail: `hard link to "l/secret": no such file`},
		{name: "hard link to a link is one, and is not written through", entries: []entry{sym("l", up+"/secret"), hard("h", "l"), file("h", "mine")},
			want: []string{`-rw-r--r-- h "mine"`, "Lrwxrwxrwx l -> ../../victims/secret"}},
		{name: "hard link to absolute name", entries: []entry{hard("h", "/cellwall-inside")}, fail: `hard link to "/cellwall-inside": no such file`},
		{name: "hard link to itself", entries: []entry{file("f", "x"), hard("f", "f")}, want: []string{`-rw-r--r-- f "x"`}},
		{name: "hard link to the root", entries: []entry{hard("h", "/")}, fail: "not a file"},
		{name: "device nodes", entries: []entry{special(tar.TypeChar, "null"), special(tar.TypeBlock, "sda"), special(tar.TypeFifo, "fifo").mode(0o600)},
			want: []string{"prw------- fifo"}, skipped: "2 device node null"},
		{name: "setuid", entries: []entry{file("su", "").mode(0o6755), dir("d").mode(0o2755)}, want: []string{"drwxr-xr-x d", `-rwxr-xr-x su ""`}, skipped: "2 setuid or setgid bit su"},
		{name: "duplicate names, the last wins", entries: []entry{file("f", "1").mode(0o600), file("./f", "2")}, want: []string{`-rw-r--r-- f "2"`}},
		{name: "link loop", entries: []entry{sym("a", "b"), sym("b", "a"), file("a/x", "bad")}, fail: "too many levels of symbolic links"},
		{name: "below a file", entries: []entry{file("f", ""), file("f/x", "")}, fail: "not a directory"},
		{name: "root as a file", entries: []entry{file(".", "").mode(0)}, fail: "takes the place of the root"},
		{name: "root as a link", entries: []entry{sym(".", up)}, fail: "takes the place of the root"},
		{name: "root mode", entries: []entry{dir("./").mode(0o000)}, want: []string{}},
		{name: "empty name", entries: []entry{sym("", "x")}, fail: "takes the place of the root"},
		{name: "long name", entries: []entry{file(long, "")}, fail: "file name too long"},
		{name: "long path", entries: []entry{dir(strings.Repeat("d/", 2500))}, fail: "file name too long"},
		{name: "owner", entries: []entry{file("f", "").uid(1<<32 - 1)}, fail: "owner 4294967295:"},
		{name: "bytes", entries: []entry{file("a", strings.Repeat("x", 30000)), file("b", strings.Repeat("x", 40000))}, fail: "larger than the limit of 65536 bytes"},
		{name: "entries", entries: slices.Repeat([]entry{file("a", "")}, 60), fail: "more than the limit of 50 entries"},
		{name: "implied directories", entries: []entry{file(strings.Repeat("d/", 60)+"f", "")}, fail: "more than the limit of 50 entries"},
		{name: "whiteout in a plain tar is a file", entries: []entry{file("a", ""), file(".wh.a", "")}, want: []string{`-rw-r--r-- .wh.a ""`, `-rw-r--r-- a ""`}},
		{name: "xattr", entries: []entry{{tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}}, ""}},
			want: []string{`-rwxr-xr-x f ""`}, skipped: "1 extended attributes f"},
		{name: "unknown type", entries: []entry{special('7', "f")}, fail: "unknown type '7'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkHostile(t, makeTar(t, c.entries...), c.fail, c.want, c.skipped)
		})
	}
}

func TestHostileHeaders(t *testing.T) {
	raw := makeTar(t, file("name", "x"))
	for _, c := range []struct {
		name string
		raw  []byte
		fail string
		want []string
	}{
		{"zero byte ends the name", patched(raw, 0, "na\x00me"), "", []string{`-rw-r--r-- na "x"`}},
		{"bad checksum", append([]byte("X"), raw[1:]...), "invalid tar header", nil},
		{"cut off", raw[:512], "unexpected EOF", nil},
		{"negative size", patched(raw, 124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), "invalid tar header", nil},
		{"huge size", patched(raw, 124, "77777777777"), "unexpected EOF", nil},
		{"negative owner", patched(raw, 108, "\xff\xff\xff\xff\xff\xff\xff\xfe"), "owner -2:", nil},
		{"empty", nil, "is empty", nil},
		{"text", []byte("hello"), "unexpected EOF", nil},
		{"xz", []byte("\xfd7zXZ\x00..."), "compressed with xz", nil},
		{"sparse bomb", sparseBomb(), "larger than the limit", nil},
	} {
		t.Run(c.name, func(t *testing.T) { checkHostile(t, c.raw, c.fail, c.want, "") })
	}
}

// sparseBomb is a GNU sparse file of 1 TiB with nothing in it.
func sparseBomb() []byte {
	h := make([]byte, 1536)
	copy(h, "bomb")
	copy(h[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00")
	h[156] = tar.TypeGNUSparse
	copy(h[257:], "ustar  \x00")
	copy(h[386:], "20000000000\x0000000000000\x00")
	copy(h[483:], "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00")
	copy(h[386:], "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00")
	copy(h[398:], "00000000000\x00")
	return patched(h, 0, "bomb")
}

func checkHostile(t *testing.T, raw []byte, fail string, want []string, skipped string) {
	t.Helper()
	victims, parent, path := hostile(t, raw)
	defer unchanged(t, filepath.Dir(victims))()
	intact := unchanged(t, victims)
	image, err := Archive(parent, path, ArchiveOptions{Bytes: 1 << 16, Entries: 50})
	intact()
	if fail != "" {
		if err == nil || !strings.Contains(err.Error(), fail) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got  %v\nwant %s", err, fail)
		}
		if err == nil {
			t.Error(errors.Join(errors.New("closed"), image.Close()))
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got := snapshot(t, image.Path())
	if got[0] != "drwxr-xr-x ." || !slices.Equal(got[1:], want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if s := skippedText(image.Skipped); s != skipped {
		t.Errorf("skipped %q, want %q", s, skipped)
	}
	if err := image.Close(); err != nil {
		t.Error(err)
	}
}

func gzipped(t testing.TB, raw []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, raw []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(raw, nil)
}

func TestArchiveCompressions(t *testing.T) {
	raw := makeTar(t, file("manifest.json", `{"name": "of a web page"}`), file("a/b", "x"), hard("c", "a/b"))
	want := []string{"drwxr-xr-x a", `-rw-r--r-- a/b "x"`, `-rw-r--r-- c "x"`, `-rw-r--r-- manifest.json "{\"name\": \"of a web page\"}"`}
	for name, raw := range map[string][]byte{"plain": raw, "gzip": gzipped(t, raw), "zstd": zstded(t, raw)} {
		t.Run(name, func(t *testing.T) { checkHostile(t, raw, "", want, "") })
	}
	bomb := gzipped(t, makeTar(t, file("zeros", strings.Repeat("\x00", 1<<20))))
	t.Run("bomb", func(t *testing.T) { checkHostile(t, bomb, "larger than the limit of 65536 bytes", nil, "") })
}

func FuzzArchive(f *testing.F) {
	unprivileged(f)
	f.Add(makeTar(f, sym("l", "../../victims"), file("l/secret", "bad"), hard("h", "l/secret")))
	f.Add(makeTar(f, dir("d"), sym("d/a", ".."), sym("b", "d/a/../../victims"), dir("b/dir"), file("d", "")))
	f.Add(gzipped(f, makeTar(f, file("../../victims/secret", "bad"))))
	f.Add(zstded(f, makeTar(f, special(tar.TypeChar, "x"))))
	f.Add(sparseBomb())
	f.Fuzz(func(t *testing.T, raw []byte) {
		victims, parent, path := hostile(t, raw)
		defer unchanged(t, filepath.Dir(victims))()
		intact := unchanged(t, victims)
		image, err := Archive(parent, path, ArchiveOptions{Bytes: 1 << 16, Entries: 50, KeepSetuid: true})
		intact()
		if err == nil {
			err = image.Close()
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func skippedText(list []Skipped) string {
	var text []string
	for _, s := range list {
		text = append(text, fmt.Sprintf("%d %s %s", s.Count, s.Why, s.First))
	}
	return strings.Join(text, ", ")
}

// unprivileged skips what makes up its own targets, and so may hit any path of the host if the
// code under test is broken.
func unprivileged(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("never fuzzed as root: run it as another user")
	}
}

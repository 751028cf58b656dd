package kernels

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const sum64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// head is the start of a file whose first kernel is in line 3.
const head = "kernels:\n\n  - name: debian-12\n    arch: amd64\n"

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "matrix.yaml")
	text := `# comment
mirrors:
  - http://deb.example.org/debian
  - file:/srv/debian
kernels:
  - name: debian-12
    arch: amd64
    suite: bookworm
    package: linux-image-cloud-amd64
    pin:
      - package: linux-image-6.1.0-50-cloud-amd64
        version: 6.1.176-1
        sha256: ` + sum64 + `
  - name: old
    arch: arm64
    suite: bullseye
    package: linux-image-cloud-arm64
    mirrors: [http://archive.debian.org/debian]
  - name: mine
    arch: amd64
    path: out/bzImage
    modules: /lib/modules/6.18.0
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{
			Name: "debian-12", Arch: "amd64", Suite: "bookworm", Package: "linux-image-cloud-amd64", Mirrors: []string{"http://deb.example.org/debian", "file:/srv/debian"},
			Keyring: DefaultKeyring, File: file, Line: 6, Pin: []Deb{{Package: "linux-image-6.1.0-50-cloud-amd64", Version: "6.1.176-1", SHA256: sum64}},
		},
		{Name: "old", Arch: "arm64", Suite: "bullseye", Package: "linux-image-cloud-arm64", Mirrors: []string{"http://archive.debian.org/debian"}, Keyring: DefaultKeyring, File: file, Line: 14},
		{Name: "mine", Arch: "amd64", Image: filepath.Join(dir, "out/bzImage"), Modules: "/lib/modules/6.18.0", File: file, Line: 19},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got[0].Local() || !got[0].Pinned() || got[1].Pinned() || !got[2].Local() || !got[2].Pinned() {
		t.Error("what is pinned, and what is local")
	}
}

// TestCommittedMatrix: the file of this repository has what the matrix needs.
func TestCommittedMatrix(t *testing.T) {
	entries, err := Read(filepath.Join("..", "matrix.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	suites := map[string]bool{}
	arm := 0
	for _, e := range entries {
		suites[e.Suite] = true
		if e.Arch == "arm64" {
			arm++
		}
		if e.Keyring != DefaultKeyring {
			t.Errorf("kernel %s has a keyring of its own", e.Name)
		}
	}
	for _, suite := range []string{"bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid"} {
		if !suites[suite] {
			t.Errorf("there is no kernel of %s", suite)
		}
	}
	if arm == 0 {
		t.Error("there is no kernel for arm64")
	}
}

func TestReadRefuses(t *testing.T) {
	suite := head + "    suite: bookworm\n    package: linux-image-cloud-amd64\n"
	pin := suite + "    pin:\n      - package: linux-image-6.1.0-50-cloud-amd64\n        version: 6.1.176-1\n        sha256: " + sum64 + "\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "m.yaml: kernels is missing: a list, each with a name"},
		{"no kernels", "mirrors: []\n", "m.yaml: kernels is missing"},
		{"a list", "- a\n", "m.yaml:1: cannot unmarshal"},
		{"a kernel that is a word", "kernels:\n  - debian\n", "m.yaml:2: cannot unmarshal"},
		{"broken YAML", "kernels: [\n", "m.yaml"},
		{"an unknown key", "colour: red\n" + suite, "m.yaml:1: field colour not found: docs/kernels.md has the keys"},
		{"an unknown key of a kernel", suite + "    colour: red\n", "m.yaml:7: field colour not found"},
		{"an unknown key of a pin", pin + "        colour: red\n", "m.yaml:11: field colour not found"},
		{"two documents", suite + "---\nkernels: []\n", "m.yaml: it holds more than one document"},
		{"no name", "kernels:\n  - arch: amd64\n", "m.yaml:2: name is missing: such as debian-12"},
		{"a bad name", "kernels:\n  - name: ../x\n", `m.yaml:2: name "../x" is none: want one such as debian-12`},
		{"a name of two lines", "kernels:\n  - name: \"a\\nb\"\n", "m.yaml:2: name is empty, or is not one line of text"},
		{"no arch", "kernels:\n  - name: a\n    suite: b\n", `m.yaml:2: arch "" is none: it is one of amd64, arm64`},
		{"a bad arch", "kernels:\n  - name: a\n    arch: mips\n", `m.yaml:3: arch "mips" is none`},
		{"neither", head, "m.yaml:3: kernel debian-12 has neither a suite and a package, nor a path"},
		{"no package", head + "    suite: bookworm\n", "m.yaml:3: package is missing: such as linux-image-cloud-amd64"},
		{"a bad suite", head + "    suite: bookworm/updates x\n", `m.yaml:5: suite "bookworm/updates x" is none`},
		{"a suite that is an option", head + "    suite: -o\n", `m.yaml:5: suite "-o" is none`},
		{"no kernel's package", head + "    suite: sid\n    package: bash\n", `m.yaml:6: package "bash" is none: want one such as linux-image-cloud-amd64`},
		{"apt would remove it", head + "    suite: sid\n    package: linux-image-amd64-\n", `m.yaml:6: package "linux-image-amd64-" is none`},
		{"modules of a package", suite + "    modules: m\n", "m.yaml:7: modules belong to a path"},
		{"a path and a suite", suite + "    path: p\n", "m.yaml:5: suite and path exclude each other"},
		{"a path and a pin", head + "    path: p\n    pin:\n      - package: linux-image-1\n        version: 1\n        sha256: " + sum64 + "\n", "pin and path exclude each other"},
		{"a pin without a version", suite + "    pin:\n      - package: linux-image-1\n", "m.yaml:8: version of a pin is missing: such as 6.1.176-1"},
		{"a pin without a checksum", suite + "    pin:\n      - package: linux-image-1\n        version: 1\n", "m.yaml:9: sha256 of a pin is missing"},
		{"a pin by a bad checksum", strings.Replace(pin, sum64, "ABC", 1), `m.yaml:10: sha256 of a pin "ABC" is none`},
		{"a pin by a bad version", strings.Replace(pin, "6.1.176-1", "6.1/x", 1), `m.yaml:9: version of a pin "6.1/x" is none`},
		{"pinned twice", pin + "      - package: linux-image-6.1.0-50-cloud-amd64\n        version: 1\n        sha256: " + sum64 + "\n", "m.yaml:11: linux-image-6.1.0-50-cloud-amd64 is pinned twice"},
		{"there twice", suite + strings.TrimPrefix(suite, "kernels:\n\n"), "m.yaml:7: kernel debian-12 is there already, in line 3"},
		{"a mirror that is none", "mirrors: [ftp://x]\n" + suite, `m.yaml:1: mirror "ftp://x" is none: want a URL such as http://deb.debian.org/debian or file:/srv/debian`},
		{"a mirror with another line", "mirrors: [\"http://x/ a\"]\n" + suite, `m.yaml:1: mirror "http://x/ a" is none`},
		{"a mirror of no host", "mirrors: [http:/x]\n" + suite, `m.yaml:1: mirror "http:/x" is none`},
		{"a mirror that is an option", suite + "    mirrors: [\"[trusted=yes]\"]\n", `m.yaml:7: mirror "[trusted=yes]" is none`},
		{"a keyring that apt cannot be told", "keyring: /a b\n" + suite, `m.yaml:1: keyring "/a b": apt takes no name`},
		{"a keyring with a tab", "keyring: /a\tb\n" + suite, `m.yaml:1: keyring "/a\tb": apt takes no name`},
		{"a mirror with a tab", "mirrors: [\"http://x/\\ta\"]\n" + suite, `m.yaml:1: mirror "http://x/\ta" is none`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse("m.yaml", []byte(c.text))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) && !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := parse("m.yaml", []byte(pin)); err != nil {
		t.Errorf("what is right is refused: %v", err)
	}
	if _, err := Read("/nosuch/m.yaml"); err == nil || !strings.Contains(err.Error(), "/nosuch/m.yaml") {
		t.Errorf("got %v", err)
	}
	big := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(big, []byte(suite+strings.Repeat("#", maxFile)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(big); err == nil || !strings.Contains(err.Error(), "are no list of kernels") {
		t.Errorf("got %v", err)
	}
}

// FuzzParse: whatever is accepted is fit for a command line, a line of apt's configuration and a
// file name; whatever is not is told in one line. Pins can be written into it, or it is said that not.
func FuzzParse(f *testing.F) {
	committed, err := os.ReadFile(filepath.Join("..", "matrix.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(committed)
	f.Add([]byte(head + "    path: p\n"))
	f.Add([]byte("mirrors: [http://x]\nkeyring: /k\n" + head + "    suite: a\n    package: linux-image-b\n    pin: []\n"))
	f.Add([]byte("kernels:\n- {name: a, arch: arm64, suite: b, package: linux-image-c}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := parse("m.yaml", raw)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "m.yaml") {
				t.Errorf("error %q", err)
			}
			return
		}
		pins := map[string][]Deb{}
		for _, e := range entries {
			all := append([]string{e.Name, e.Suite, e.Package, e.Keyring}, e.Mirrors...)
			for _, d := range e.Pin {
				all = append(all, d.Package, d.Version, d.SHA256)
			}
			if text := strings.Join(all, ""); strings.ContainsAny(text, " \"[]\n\x00") || strings.Contains(e.Name+e.Suite, "/") || e.Local() == (e.Suite != "") {
				t.Errorf("accepted %+v", e)
			}
			if !e.Local() {
				pins[e.Name] = []Deb{{Package: "linux-image-9", Version: "9.0", SHA256: sum64}}
			}
		}
		text, err := pinned("m.yaml", raw, pins)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		again, err := parse("m.yaml", text)
		if err != nil || len(again) != len(entries) {
			t.Fatalf("pinned to %q: %v", text, err)
		}
		for _, e := range again {
			if !e.Local() && !reflect.DeepEqual(e.Pin, pins[e.Name]) {
				t.Errorf("pinned to %q", text)
			}
		}
	})
}

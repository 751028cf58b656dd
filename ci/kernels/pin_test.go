package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const unpinnedText = `# The kernels.

kernels:
  # The oldest.
  - name: debian-11   # bullseye
    arch: amd64
    suite: bullseye
    package: linux-image-cloud-amd64

  # This one is pinned.
  - name: debian-12
    arch: amd64
    suite: bookworm
    pin:   # of 12.15
      - package: linux-image-6.1.0-50-cloud-amd64
        version: 6.1.176-1
        sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    package: linux-image-cloud-amd64 # the meta-package
  - name: mine
    arch: amd64
    path: bzImage
# The end.
`

const pinnedText = `# The kernels.

kernels:
  # The oldest.
  - name: debian-11   # bullseye
    arch: amd64
    suite: bullseye
    package: linux-image-cloud-amd64
    pin:
      - package: linux-image-5.10
        version: 5.10
        sha256: ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff

  # This one is pinned.
  - name: debian-12
    arch: amd64
    suite: bookworm
    pin: # of 12.15
      - package: linux-binary-6.1
        version: 6.1-2
        sha256: ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
      - package: linux-modules-6.1
        version: 6.1-2
        sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    package: linux-image-cloud-amd64 # the meta-package
  - name: mine
    arch: amd64
    path: bzImage
# The end.
`

func TestPin(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "matrix.yaml"), filepath.Join(dir, "link.yaml")
	if err := os.WriteFile(file, []byte(unpinnedText), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("matrix.yaml", link); err != nil {
		t.Fatal(err)
	}
	f := strings.Repeat("f", 64)
	pins := map[string][]Deb{
		"debian-11": {{Package: "linux-image-5.10", Version: "5.10", SHA256: f}},
		"debian-12": {{Package: "linux-binary-6.1", Version: "6.1-2", SHA256: f}, {Package: "linux-modules-6.1", Version: "6.1-2", SHA256: sum64}},
	}
	for range 2 { // the second time there is nothing to change
		if err := Pin(link, pins); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil || string(text) != pinnedText {
			t.Errorf("got\n%s\n%v", text, err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestPinRefuses(t *testing.T) {
	pin := []Deb{{Package: "linux-image-9", Version: "9-1", SHA256: sum64}}
	for _, c := range []struct{ name, text, kernel, want string }{
		{"no such kernel", unpinnedText, "moon", "matrix.yaml: it has 0 of the 1 kernels to pin"},
		{"a kernel by its path", unpinnedText, "mine", "the pins cannot be written into it: write each key"},
		{"a value of several lines", "kernels:\n  - name: d\n    arch: amd64\n    suite: b\n    package: linux-image-c\n    pin: [\n    ]\n", "d", "matrix.yaml"},
		{"all on one line", "kernels:\n  - {name: d, arch: amd64, suite: b, package: linux-image-c}\n", "d", "matrix.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "matrix.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			err := Pin(file, map[string][]Deb{c.kernel: pin})
			text, readErr := os.ReadFile(file)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || string(text) != c.text {
				t.Errorf("got %v, want %s, and\n%s", err, c.want, text)
			}
		})
	}
}

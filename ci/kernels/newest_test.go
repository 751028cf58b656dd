package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewest(t *testing.T) {
	dir := t.TempDir()
	put := func(key, arch, release string) string {
		at := filepath.Join(dir, strings.Repeat(key, 64))
		if err := os.MkdirAll(filepath.Join(at, "boot"), 0o755); err != nil {
			t.Fatal(err)
		}
		image := filepath.Join(at, imagePath(release))
		if err := os.WriteFile(image, []byte(release), 0o644); err != nil {
			t.Fatal(err)
		}
		sum, err := sumFile(image)
		if err != nil {
			t.Fatal(err)
		}
		text := `{"schema":"` + manifestSchema + `","arch":"` + arch + `","release":"` + release + `","image_sha256":"` + sum + `"}`
		if err := os.WriteFile(filepath.Join(at, manifestName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return image
	}
	c := &Cache{Dir: dir}
	if _, err := c.Newest("amd64", ""); !errors.Is(err, ErrAbsent) {
		t.Errorf("of none: %v", err)
	}
	put("a", "amd64", "6.9.1-1-amd64")
	image := put("b", "amd64", "6.12.3+deb13-amd64")
	put("c", "arm64", "7.0.0-arm64")
	put("d", "amd64", "6.1.0-50-amd64")
	for start, want := range map[string]string{
		"": "6.12.3+deb13-amd64", "6.12.3": "6.12.3+deb13-amd64", "6.1": "6.1.0-50-amd64", "6": "6.12.3+deb13-amd64", "6.9.1-1-amd64": "6.9.1-1-amd64",
		"7": "", "6.1.0-5": "",
	} {
		k, err := c.Newest("amd64", start)
		if k.Release != want || (want == "") != errors.Is(err, ErrAbsent) {
			t.Errorf("%q is %q, %v, want %q", start, k.Release, err, want)
		}
		if err == nil && (k.Name != want || k.Arch != "amd64" || filepath.Base(k.Image) != "vmlinuz-"+want) {
			t.Errorf("%q is %+v", start, k)
		}
	}
	if err := os.WriteFile(image, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Newest("amd64", ""); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("one that was changed: %v", err)
	}
}

package kernels_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellwall/ci/command"
	"cellwall/ci/kernels"
)

// TestCommands goes the whole way of a user, from a file without pins to a cache without a network.
func TestCommands(t *testing.T) {
	head, publish := kernels.Mirror(t)
	dir := t.TempDir()
	file, cache := filepath.Join(dir, "matrix.yaml"), filepath.Join(dir, "cache")
	text := "# Mine.\n" + head + "kernels:\n  - name: debian-12 # oldstable\n    arch: amd64\n    suite: bookworm\n    package: linux-image-cloud-amd64\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cellwall := func(code int, args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		args = append(append([]string{"kernels"}, args...), "--file", file, "--cache", cache)
		if got := command.Main(t.Context(), args, strings.NewReader(""), &out, &errs); got != code {
			t.Errorf("%v: exit status %d, want %d: %s", args, got, code, &errs)
		}
		if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), "# Mine.\n") || !strings.Contains(string(text), "# oldstable\n") {
			t.Errorf("%v: the file is\n%s", args, text)
		}
		return out.String(), errs.String()
	}
	pinnedTo := func(version string) {
		t.Helper()
		entries, err := kernels.Read(file)
		if err != nil || len(entries[0].Pin) != 1 || entries[0].Pin[0].Version != version {
			t.Errorf("pinned to %+v, %v", entries, err)
		}
	}
	publish("6.1.0-50-cloud-amd64", "6.1.176-1")

	if out, errs := cellwall(3, "fetch"); out != "" || !strings.Contains(errs, "run `cellwall kernels fetch --pin debian-12`") {
		t.Errorf("%q, %q", out, errs)
	}
	if out, _ := cellwall(0, "list"); !strings.Contains(out, "debian-12  amd64  -        -     no      no\n") {
		t.Errorf("%q", out)
	}
	out, errs := cellwall(0, "fetch", "--pin")
	if out != "debian-12 is 6.1.0-50-cloud-amd64\n" || !strings.Contains(errs, "[1/1] debian-12: fetch linux-image-6.1.0-50-cloud-amd64\n") {
		t.Errorf("%q, %q", out, errs)
	}
	pinnedTo("6.1.176-1")
	if out, errs := cellwall(0, "fetch"); out != "debian-12 is 6.1.0-50-cloud-amd64\n" || errs != "" {
		t.Errorf("%q, %q", out, errs)
	}
	if out, _ := cellwall(0, "list", "debian*"); !strings.Contains(out, "debian-12  amd64  6.1.0-50-cloud-amd64  1.0 KiB  6.1.176-1  yes\n") {
		t.Errorf("%q", out)
	}

	// The mirror goes on. What is pinned stays, until somebody wants it otherwise.
	publish("6.1.0-56-cloud-amd64", "6.1.192-2")
	if out, errs := cellwall(0, "fetch", "--pin"); out != "debian-12 is 6.1.0-50-cloud-amd64\n" || errs != "" {
		t.Errorf("%q, %q", out, errs)
	}
	if out, _ := cellwall(0, "fetch", "--repin", "debian-12"); out != "debian-12 is 6.1.0-56-cloud-amd64\n" {
		t.Errorf("%q", out)
	}
	pinnedTo("6.1.192-2")
	if out, _ := cellwall(0, "prune", "--dry-run"); strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, "would remove 6.1.0-50-cloud-amd64, 1.") {
		t.Errorf("%q", out)
	}
	if out, _ := cellwall(0, "prune"); strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, "removed 6.1.0-50-cloud-amd64, 1.") || !strings.HasSuffix(out, " in all\n") {
		t.Errorf("%q", out)
	}
	if out, _ := cellwall(0, "prune"); out != "nothing to remove\n" {
		t.Errorf("%q", out)
	}
	images, err := filepath.Glob(filepath.Join(cache, "*", "boot", "vmlinuz-*"))
	if err != nil || len(images) != 1 {
		t.Fatalf("%v, %v", images, err)
	}
	if err := os.Truncate(images[0], 10); err != nil {
		t.Fatal(err)
	}
	if out, errs := cellwall(3, "list"); !strings.Contains(out, "damaged") || !strings.Contains(errs, "has the checksum") {
		t.Errorf("%q, %q", out, errs)
	}
}

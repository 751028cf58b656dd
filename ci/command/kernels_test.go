package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The way through a mirror is tested in ci/kernels, which has one.

func TestKernelsMisuse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	text := "kernels:\n  - name: a-1\n    arch: amd64\n    path: nosuch\n  - name: a-2\n    arch: amd64\n    suite: sid\n    package: linux-image-amd64\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"kernels"}, exitUsage, "list, fetch and prune"},
		{[]string{"kernels", "frob"}, exitUsage, "frob"},
		{[]string{"kernels", "list"}, exitUsage, "there is no ci/matrix.yaml here: run it in the checkout, or name a matrix file with --file"},
		{[]string{"kernels", "list", "--file", "/nosuch.yaml"}, exitUsage, "/nosuch.yaml: no such file"},
		{[]string{"kernels", "list", "--file", file, "b"}, exitUsage, file + ` has no kernel "b": it has a-1, a-2`},
		{[]string{"kernels", "list", "--file", file, "a-*", "c*"}, exitUsage, `has no kernel "c*"`},
		{[]string{"kernels", "list", "--file", file, "["}, exitUsage, `kernel "[": syntax error in pattern`},
		{[]string{"kernels", "fetch", "--repin", "--file", file}, exitUsage, "--repin takes the names of kernels, or '*' for all"},
		{[]string{"kernels", "prune", "--file", file, "a-1"}, exitUsage, "a-1"},
		{[]string{"kernels", "fetch", "--file", file, "--cache", "/nosuch"}, exitInconclusive, "m.yaml:2: kernel a-1: open "},
		{[]string{"kernels", "fetch", "--file", file, "--cache", "/nosuch"}, exitInconclusive, "m.yaml:5: kernel a-2: not pinned to a version and a checksum: run `cellwall kernels fetch --pin a-2`"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errs := call(t, c.args...)
			if code != c.code || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "cellwall: ") || !strings.Contains(errs, c.want) {
				t.Errorf("exit status %d, stdout %q, stderr %q, want %d and one line with %q", code, out, errs, c.code, c.want)
			}
		})
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	if code, _, errs := call(t, "kernels", "list", "--file", file); code != exitUsage || !strings.Contains(errs, "find the user's cache: ") || !strings.Contains(errs, "name one with --cache") {
		t.Errorf("exit status %d, %q", code, errs)
	}
}

// TestKernelsAreChosen: globs choose kernels, in the order of the file and once.
func TestKernelsAreChosen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	text := "kernels:\n"
	for _, name := range []string{"b-1", "a-1", "b-2"} {
		text += "  - name: " + name + "\n    arch: amd64\n    suite: sid\n    package: linux-image-amd64\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{"": "b-1 a-1 b-2", "b-*": "b-1 b-2", "b-2 b-* a-1": "b-1 a-1 b-2", "a-1": "a-1"} {
		code, out, errs := call(t, append([]string{"kernels", "list", "--file", file, "--cache", t.TempDir()}, strings.Fields(args)...)...)
		var got []string
		for line := range strings.Lines(out) {
			if name := strings.Fields(line)[0]; name != "NAME" {
				got = append(got, name)
			}
		}
		if code != 0 || errs != "" || strings.Join(got, " ") != want {
			t.Errorf("%q: %d, %q, got %v, want %s", args, code, errs, got, want)
		}
	}
}

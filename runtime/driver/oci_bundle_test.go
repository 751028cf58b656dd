package driver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestMakeTargets looks at what is made in a root directory with links in it, and that nothing is made
// where they lead. All of it lies in a directory of the test's own.
func TestMakeTargets(t *testing.T) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	file := filepath.Join(dir, "file")
	for _, d := range []string{root, outside, filepath.Join(root, "real")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"away": outside, "up": "../outside", "in": "real"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &specs.Spec{Root: &specs.Root{Path: root}, Linux: &specs.Linux{}, Mounts: []specs.Mount{
		{Destination: "/dev", Type: "tmpfs"},
		{Destination: "/dev/pts", Type: "devpts"},
		{Destination: "/etc/name", Type: "bind", Source: file},
		{Destination: "/deep/er/dir", Type: "bind", Source: dir},
		{Destination: "/in/side", Type: "tmpfs"},
		{Destination: "/away/made", Type: "tmpfs"},
		{Destination: "/up/made", Type: "tmpfs"},
		{Destination: "/../made", Type: "tmpfs"},
	}}
	if err := makeTargets(s); err != nil {
		t.Fatal(err)
	}
	for path, isDir := range map[string]bool{
		"dev": true, "etc/name": false, "deep/er/dir": true, "real/side": true, "made": true,
	} {
		if info, err := os.Lstat(filepath.Join(root, path)); err != nil || info.IsDir() != isDir {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(root, "dev/pts")); err == nil {
		t.Error("dev/pts was made, which the mount at /dev covers")
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) > 0 {
		t.Errorf("outside the root directory: %v, %v", entries, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "made")); err == nil {
		t.Error("a destination with .. was made outside the root directory")
	}
}

func TestErrorsIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for log, want := range map[string]string{
		"": "",
		`{"level":"warning","msg":"a"}` + "\n" + `{"level":"error","msg":"b"}` + "\n":                 "b",
		`{"level":"error","msg":"b"}` + "\n" + `{"level":"error","msg":"c"}`:                          "b; c",
		`{"level":"error","msg":"b"}{"level":"info","msg":"a"}{"msg":"a"}{"level":"error","msg":"c"}`: "b; c", // runsc's
		"no json\n" + `{"level":"error","msg":"b"}` + "\n{\n":                                         "b",
		`{"level":"info","msg":"a"}`: "",
		// What a container has made long is neither read nor given on whole.
		`{"level":"error","msg":"a"}` + "\n" + strings.Repeat("x", maxLog) + "\n": "",
		strings.Repeat("x", maxLog) + "\n" + `{"level":"error","msg":"b"}`:        "b",
		`{"level":"error","msg":"` + strings.Repeat("x", maxSaid+1) + `"}`:        strings.Repeat("x", maxSaid),
	} {
		if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := errorsIn(path); got != want {
			t.Errorf("errorsIn of %.99q is %.99q, want %.99q", log, got, want)
		}
	}
	if got := errorsIn(path + "-none"); got != "" {
		t.Errorf("errorsIn of no file is %q", got)
	}
}

func TestAwaitFileRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	for _, text := range []string{"", "0", "1", "-5", "many", "99999999999999999999"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := awaitFile(path); err == nil {
			t.Errorf("a pid file that says %q was taken for process %d", text, a.pid)
		}
	}
}

// TestNamesAreKnown keeps the list of names and the table behind it together.
func TestNamesAreKnown(t *testing.T) {
	names := Names()
	if names[0] != CoreName || len(names) != len(known)+1 {
		t.Fatalf("names are %q", names)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(known)+1 {
		t.Errorf("a name is there twice: %q", names)
	}
}

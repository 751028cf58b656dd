package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inside runs a program with root as its root directory.
func inside(root string, args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The article: copy bash, ls and their libraries, `chroot`, `ls`, `pwd`. You should see /.
func TestChrootIntoHostPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot(2) needs root")
	}
	h, err := FromHost(t.TempDir(), "bash", "ls", "cat")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	const secret = "orangewood makes robotics fun\n"
	write(t, h.Path()+"/secret.txt", secret, 0o644)
	out, err := inside(h.Path(), h.Binaries[0], "-c", "ls /; pwd; cat /secret.txt")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := os.ReadDir(h.Path())
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, e := range entries {
		want = append(want, e.Name())
	}
	listing, ok := strings.CutSuffix(out, "/\n"+secret)
	if !ok || !slices.Equal(strings.Fields(listing), want) {
		t.Errorf("inside: %q, outside: %q", out, want)
	}
}

// The article: "It will still fail because these binary requires libraries".
func TestChrootWithoutLibrariesFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot(2) needs root")
	}
	h, err := FromHost(t.TempDir(), "bash")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if out, err := inside(h.Path(), h.Binaries[0], "-c", "exit 0"); err != nil {
		t.Fatalf("with its libraries: %v\n%s", err, out)
	}
	// By os.Root: a link in the copied tree must never lead this removal to the host's libraries.
	root, err := os.OpenRoot(h.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	removed := 0
	for _, f := range h.Files {
		if strings.Contains(f.Path, "/lib") && f.Target == "" {
			if err := root.Remove(f.Path[1:]); err != nil {
				t.Fatal(err)
			}
			removed++
		}
	}
	info, err := os.Stat(h.Path() + h.Binaries[0])
	if removed < 2 || err != nil || info.Mode()&0o111 == 0 {
		t.Fatalf("removed %d libraries; bash itself: %v", removed, err)
	}
	if out, err := inside(h.Path(), h.Binaries[0], "-c", "exit 0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its libraries: %v, want ENOENT\n%s", err, out)
	}
}

// What was reported is what `ldd` says, but for the vdso.
func TestFromHostAgreesWithLdd(t *testing.T) {
	ldd, err := exec.LookPath("ldd")
	if err != nil {
		t.Skip("ldd is not installed")
	}
	for _, name := range []string{"bash", "ls", "curl", "git", "python3", "perf"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		h, err := FromHost(t.TempDir(), name)
		if err != nil {
			t.Error(err)
			continue
		}
		out, err := exec.Command(ldd, path).Output()
		if err != nil {
			t.Logf("ldd %s: %v", path, err) // a script, or static
		}
		for word := range strings.FieldsSeq(string(out)) {
			if !strings.HasPrefix(word, "/") {
				continue
			}
			if _, err := os.Stat(h.Path() + word); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

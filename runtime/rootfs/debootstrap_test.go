package rootfs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeDebootstrap puts a script of that name on $PATH.
func fakeDebootstrap(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	write(t, filepath.Join(bin, "debootstrap"), "#!/bin/sh\n"+script, 0o755)
	t.Setenv("PATH", bin+":/usr/bin:/bin")
}

func TestDebootstrapArguments(t *testing.T) {
	fakeDebootstrap(t, `echo "I: Retrieving"; echo "$# $1 $2 $4" > "$3/args"; mkdir "$3/bin"`)
	for mirror, want := range map[string]string{"": "3 --variant=minbase bookworm \n", "file:/srv": "4 --variant=minbase bookworm file:/srv\n"} {
		dir := t.TempDir()
		var progress bytes.Buffer
		r, err := Debootstrap(t.Context(), dir, "bookworm", mirror, &progress)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(r.Path() + "/args"); err != nil || string(got) != want {
			t.Errorf("arguments %q, %v; want %q", got, err, want)
		}
		if progress.String() != "I: Retrieving\n" {
			t.Errorf("progress %q", progress.String())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if left := snapshot(t, dir); len(left) != 1 {
			t.Errorf("left behind: %q", left)
		}
	}
}

func TestDebootstrapErrors(t *testing.T) {
	dir := t.TempDir()
	defer unchanged(t, dir)()
	check := func(name, want, suite, mirror string) error {
		t.Helper()
		_, err := Debootstrap(t.Context(), dir, suite, mirror, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: got  %v\nwant %s", name, err, want)
		}
		return err
	}
	fakeDebootstrap(t, `touch "$3/partial"; printf 'I: start\nE: No such script: \033[31m%s\n\n' "$2" >&2; exit 1`)
	var exit *exec.ExitError
	if err := check("fails", `debootstrap nosuch: exit status 1: E: No such script: [31mnosuch`, "nosuch", ""); !errors.As(err, &exit) {
		t.Errorf("%v is no ExitError", err)
	}
	check("option as suite", `suite "--help": want a name`, "--help", "")
	check("path as suite", `suite "../x": want a name`, "../x", "")
	check("option as mirror", `mirror "--x": want a URL`, "sid", "--x")
	t.Setenv("PATH", "/nonexistent")
	if err := check("absent", "debootstrap is not installed, apt-get install debootstrap", "sid", ""); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("%v does not wrap exec.ErrNotFound", err)
	}
}

// The script's child holds the pipe open: only the end of the whole group ends the call early.
func TestDebootstrapCancelEndsTheGroup(t *testing.T) {
	dir := t.TempDir()
	defer unchanged(t, dir)()
	fakeDebootstrap(t, `sleep 1000 & echo "$!"; wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Debootstrap(ctx, dir, "sid", "", cancelOnWrite(cancel))
	if !errors.Is(err, context.Canceled) || errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("got %v, want canceled", err)
	}
}

type cancelOnWrite context.CancelFunc

func (c cancelOnWrite) Write(p []byte) (int, error) { c(); return len(p), nil }

func TestDebootstrapMountsStayInside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mount(2) needs root")
	}
	fakeDebootstrap(t, `mkdir "$3/proc" && mount -t tmpfs cellwall "$3/proc" && touch "$3/proc/x"`)
	r, err := Debootstrap(t.Context(), t.TempDir(), "sid", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.Path() + "/proc/x"); !os.IsNotExist(err) {
		t.Errorf("the mount is seen outside: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// The article's command, with the real program: it downloads.
func TestDebootstrapForReal(t *testing.T) {
	if os.Getenv("CELLWALL_SLOW") == "" {
		t.Skip("set CELLWALL_SLOW=1 to download a suite")
	}
	if os.Geteuid() != 0 {
		t.Skip("debootstrap needs root")
	}
	r, err := Debootstrap(t.Context(), t.TempDir(), "bookworm", os.Getenv("CELLWALL_MIRROR"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if out, err := inside(r.Path(), "/bin/bash", "-c", "cat /etc/debian_version"); err != nil || !strings.HasPrefix(out, "12") {
		t.Errorf("inside: %q, %v", out, err)
	}
}

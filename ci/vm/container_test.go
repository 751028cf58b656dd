package vm

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/ci/vm/guest"
	"cellwall/runtime/rootfs"
)

// container is a guest whose root has this host's shell and what programs are named.
func container(t *testing.T, script string, programs ...string) Guest {
	t.Helper()
	g := real(t)
	root, err := rootfs.FromHost(t.TempDir(), append(programs, "sh")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	g.Command = []string{"/bin/sh", "-c", script}
	g.Container = &Container{
		Root: root.Path(), Hostname: "its-own",
		Container: guest.Container{Env: []string{"PATH=/usr/bin:/bin", "A=b"}, Dir: "/usr", UID: 12, GID: 34},
	}
	return g
}

// TestContainer: its program finds what it was given and nothing of init's, and talks with the outside.
func TestContainer(t *testing.T) {
	g := container(t, `read line; echo "$line $A $(pwd) $(id -u) $(id -g) $(hostname)"; cat; echo oops >&2; ls -d /* ; cat /given/file /tmp/x; exit 5`,
		"id", "hostname", "cat", "ls")
	if err := os.WriteFile(filepath.Join(g.Container.Root, "link-target"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("link-target", filepath.Join(g.Container.Root, "a-link")); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "given")
	if err := os.WriteFile(source, []byte("given\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g.Container.Files = []File{{Path: "/given/file", Source: source}}
	g.Container.Mounts = []guest.Mount{{Type: "tmpfs", Source: "some", Path: "/mounted/here", Flags: unix.MS_RDONLY}}
	r, w := io.Pipe()
	g.Container.Stdin = r
	g.Began = func() {
		go func() {
			io.WriteString(w, "hello\nmore\n")
			w.Close()
		}()
	}
	var console, out, errs bytes.Buffer
	g.Console, g.Stdout, g.Stderr = &console, &out, &errs
	result, err := fake(t).Run(t.Context(), g)
	if err != nil {
		t.Fatalf("%v\nconsole:\n%s", err, console.String())
	}
	if result.Exit != 5 || !strings.HasPrefix(errs.String(), "oops\n") || !strings.HasPrefix(out.String(), "hello b /usr 12 34 its-own\nmore\n") {
		t.Errorf("exit %d, stdout %q, stderr %q", result.Exit, out.String(), errs.String())
	}
	for _, want := range []string{"\n/a-link\n", "\n/mounted\n", "\ngiven\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q has no %q", out.String(), want)
		}
	}
	for _, unwanted := range []string{guest.Init, guest.Program, guest.DescriptionPath, guest.ModulePath} {
		if strings.Contains(out.String(), "\n"+unwanted+"\n") {
			t.Errorf("its program sees init's %s", unwanted)
		}
	}
}

// TestContainerWithoutInput reads the end at once.
func TestContainerWithoutInput(t *testing.T) {
	g := container(t, "cat; exit 6", "cat")
	if r, err := fake(t).Run(t.Context(), g); err != nil || r.Exit != 6 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestContainerThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(*testing.T, *Guest){
		"has /init, where": func(t *testing.T, g *Guest) {
			if err := os.WriteFile(filepath.Join(g.Container.Root, "init"), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		},
		"is a socket": func(t *testing.T, g *Guest) {
			l, err := net.Listen("unix", filepath.Join(g.Container.Root, "s"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		},
		"its own files": func(_ *testing.T, g *Guest) { g.Cgroup = guest.V2 },
		"start the command /none": func(_ *testing.T, g *Guest) {
			g.Command = []string{"/none"}
		},
	} {
		g := container(t, "true")
		change(t, &g)
		_, err := fake(t).Run(t.Context(), g)
		var failed *BootError
		if err == nil || errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

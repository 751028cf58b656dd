package core_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// link makes a symbolic link in the container's root.
func (f *fixture) link(t *testing.T, target, at string) {
	t.Helper()
	path := filepath.Join(f.options.Rootfs, at)
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.Symlink(target, path))
	t.Cleanup(func() { check(t, os.Remove(path)) })
}

// TestImageLinksStayInside: whatever the links of an image say, mount points are made in it.
// While the old root lay on top of the new one, ".." led there from the root directory.
func TestImageLinksStayInside(t *testing.T) {
	for _, c := range []struct {
		name, target, at string
		change           func(*specs.Spec)
	}{
		{name: "above the root", target: "..%s", at: "/data"},
		{name: "above the root from a directory", target: "../../..%s", at: "/var/data"},
		{name: "absolute", target: "%s", at: "/data"},
		{
			name: "through another's root", target: fmt.Sprintf("/proc/%d/root%%s", os.Getpid()), at: "/data",
			change: func(s *specs.Spec) { spec.WithoutNamespace(specs.PIDNamespace).Apply(s) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			bait := t.TempDir()
			f.link(t, fmt.Sprintf(c.target, bait), c.at)
			o := f.options
			o.Args = []string{program, "exit"}
			s := spec.New(spec.Namespaces, o)
			if c.change != nil {
				c.change(s)
			}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: c.at + "/in/side", Type: "tmpfs", Source: "tmpfs"})
			made, err := f.launcher.Create(t.Context(), "cellwall-t", core.Options{Spec: s, Parent: f.parent})
			if err == nil {
				check(t, made.Delete())
			}
			entries, err := os.ReadDir(bait)
			if err != nil || len(entries) > 0 {
				t.Errorf("the host's directory holds %v (%v), want nothing", entries, err)
			}
		})
	}
}

// TestRelativeLinksOfImages: /var/run is ../run in most images.
func TestRelativeLinksOfImages(t *testing.T) {
	f := newFixture(t)
	check(t, os.MkdirAll(filepath.Join(f.options.Rootfs, "run"), 0o755))
	f.link(t, "../run", "/var/run")
	out, _ := f.run(t, spec.Hardened, spec.Edits{spec.Change("a mount behind a link", func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/var/run/lock", Type: "tmpfs", Source: "tmpfs"})
	})}, "cat", "/proc/self/mountinfo")
	if !strings.Contains(out, " / /run/lock ") {
		t.Errorf("no mount at /run/lock:\n%s", out)
	}
}

// TestImageLinksLeadNoMountIntoProc: an image's link never lets a mount hide what procfs or sysfs show,
// though the spec may, by name. Such a link leads nowhere, or to what the image has there itself.
func TestImageLinksLeadNoMountIntoProc(t *testing.T) {
	f := newFixture(t)
	for link, target := range map[string]string{"/data": "/proc/tty", "/var/data": "../sys/kernel"} {
		f.link(t, target, link)
		check(t, os.MkdirAll(filepath.Join(f.options.Rootfs, strings.TrimPrefix(target, "..")), 0o755))
	}
	out, _ := f.run(t, spec.Namespaces, spec.Edits{spec.Change("mounts behind links", func(s *specs.Spec) {
		for _, at := range []string{"/data", "/data/driver", "/var/data", "/proc/fs", "/proc/fs/below"} {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: at, Type: "tmpfs", Source: at})
		}
	})}, "cat", "/proc/self/mountinfo", "/proc/tty/drivers", "/sys/kernel/uevent_seqnum")
	if strings.Contains(out, "no such file") {
		t.Errorf("a mount hides what the kernel shows:\n%s", out)
	}
	if !strings.Contains(out, " / /proc/fs/below ") {
		t.Errorf("no mount at /proc/fs/below:\n%s", out)
	}
}

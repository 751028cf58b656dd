package cgroup

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// inMountNamespace runs f on a thread with mounts of its own, which is thrown away.
func inMountNamespace(t *testing.T, f func() error) {
	t.Helper()
	needRoot(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			done <- fmt.Errorf("unshare: %w", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			done <- fmt.Errorf("make mounts private: %w", err)
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReadOnlyMount(t *testing.T) {
	name := testName(t, "")
	inMountNamespace(t, func() error {
		mounts, err := parseFile("/proc/thread-self/mountinfo", parseMountinfo)
		if err != nil {
			return err
		}
		for _, m := range mounts {
			if err := unix.Mount("", m.point, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
				return fmt.Errorf("remount %s: %w", m.point, err)
			}
		}
		tree, err := Find()
		if err != nil {
			return err
		}
		defer tree.Close()
		if err := tree.Require("memory"); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("require: %v", err)
		}
		_, err = tree.Create(name, Limits{})
		if !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), "writable") || strings.Contains(err.Error(), "\n") {
			t.Errorf("create: %v", err)
		}
		return nil
	})
}

func TestNoMount(t *testing.T) {
	inMountNamespace(t, func() error {
		if err := unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "size=4k"); err != nil {
			return fmt.Errorf("hide the cgroups: %w", err)
		}
		tree, err := Find()
		if !errors.Is(err, kernel.ErrNotSupported) || strings.Contains(err.Error(), "\n") {
			t.Errorf("find: %v, %v", tree, err)
		}
		return nil
	})
}

// A container that sees only its own group at the mount point: no cgroup namespace.
func TestSubtreeMount(t *testing.T) {
	tree := newTree(t)
	g := newGroup(t, tree, Limits{PidsMax: 20})
	c := start(t, g, "wait")
	c.line(t)
	inMountNamespace(t, func() error {
		d := g.dir("pids")
		point := tree.dir("pids").path
		if err := unix.Mount(d.path, point, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", d.path, err)
		}
		view, err := Open(c.cmd.Process.Pid)
		if err != nil {
			return err
		}
		defer view.Close()
		if l, err := view.Limits(); err != nil || l.PidsMax != 20 || view.Path("pids") != point {
			t.Errorf("pids.max %d at %s, %v", l.PidsMax, view.Path("pids"), err)
		}
		return nil
	})
}

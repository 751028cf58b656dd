package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// onV2 runs f where cgroup v2 alone is mounted, with the controllers that the host's v1 has left it. It
// is the host's mount that is moved: a new one would take the host's options off, such as nsdelegate.
func onV2(t *testing.T, f func(tree *Tree) error) {
	t.Helper()
	tree := newTree(t)
	if tree.v2() == nil {
		t.Skip("no cgroup v2 hierarchy is mounted")
	}
	inMountNamespace(t, func() error {
		const at = "/sys/fs/cgroup"
		v2, err := unix.OpenTree(unix.AT_FDCWD, tree.v2().top, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return fmt.Errorf("open_tree: %w", err)
		}
		defer unix.Close(v2)
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount the others: %w", err)
		}
		if err := unix.MoveMount(v2, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("move_mount: %w", err)
		}
		tree, err := Find()
		if err != nil {
			return err
		}
		if tree.Mode() != V2 || len(tree.own) != 1 {
			t.Errorf("mode %s, %d hierarchies, want v2 and one", tree.Mode(), len(tree.own))
		}
		return errors.Join(f(tree), tree.Close())
	})
}

func TestV2Alone(t *testing.T) {
	name := testName(t, "")
	onV2(t, func(tree *Tree) error {
		g, err := tree.Create(name, Limits{MaxDescendants: new(uint64(1)), MaxDepth: new(uint64(1))})
		if err != nil {
			return err
		}
		defer closeGroup(t, g)
		start(t, g, "wait").line(t)
		if _, err := g.Create("a", Limits{}); err != nil {
			t.Errorf("the first group below: %v", err)
		}
		if _, err := g.Create("b", Limits{}); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("the second group below, where one may be: %v", err)
		}
		for _, on := range []bool{true, false} {
			if err := g.freeze(t.Context(), on); err != nil {
				return err
			}
			if e, err := g.Events(); err != nil || e.Frozen != on || !e.Populated {
				t.Errorf("frozen %v: %+v, %v", on, e, err)
			}
		}
		if err := g.Freeze(t.Context()); err != nil { // what is frozen dies on v2
			return err
		}
		return g.Kill(t.Context())
	})
}

// TestDelegated: a user to whom a group has been given as cgroup-v2.rst has it ("Delegation") makes
// limited groups below it, and leaves it as it was.
func TestDelegated(t *testing.T) {
	name := testName(t, "")
	onV2(t, func(tree *Tree) error {
		if err := tree.Require("hugetlb"); err != nil {
			t.Log(err)
			return nil
		}
		g, err := tree.Create(name, Limits{Hugetlb: map[string]uint64{"2MB": 8 << 20}})
		if err != nil {
			return err
		}
		defer closeGroup(t, g)
		const nobody = 65534
		d := g.v2()
		for _, file := range []string{".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
			if err := os.Chown(filepath.Join(d.path, file), nobody, nobody); err != nil {
				return err
			}
		}
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
		cmd.Env, cmd.Stderr = append(os.Environ(), helperEnv+"=nested"), os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: d.fd, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		said, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || strings.TrimSpace(said) != "restored" {
			t.Errorf("the user says %q, %v", said, err)
		}
		if on, err := d.read("cgroup.subtree_control"); err != nil || on != "" {
			t.Errorf("controllers left on: %q, %v", on, err)
		}
		return errors.Join(in.Close(), cmd.Wait())
	})
}

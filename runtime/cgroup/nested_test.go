package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nested runs as a process whose v2 group has hugetlb and is not the root: it must leave its
// group before a limited one can be made below it, and come back.
func nested() error {
	tree, err := Find()
	if err != nil {
		return err
	}
	own := tree.v2()
	before := own.path
	g, err := tree.Create("cellwall-inner", Limits{Hugetlb: map[string]uint64{"2MB": 4 << 20}})
	if err != nil {
		return err
	}
	if l, err := g.Limits(); err != nil || l.Hugetlb["2MB"] != 4<<20 {
		return fmt.Errorf("limits %v, %w", l.Hugetlb, err)
	}
	if now, err := ownV2(); err != nil || path.Base(now) != leafName {
		return fmt.Errorf("with a group below: in %s, %w", now, err)
	}
	// A second Tree finds the same place, not the leaf, and its Close restores nothing yet.
	second, err := Find()
	if err != nil {
		return err
	}
	if second.v2().path != before {
		return fmt.Errorf("second tree at %s, want %s", second.v2().path, before)
	}
	other, err := second.Create("cellwall-other", Limits{Hugetlb: map[string]uint64{"2MB": 2 << 20}})
	if err != nil {
		return err
	}
	if err := tree.Close(); err == nil {
		return fmt.Errorf("tree closed with an open group")
	}
	if err := g.Close(); err != nil {
		return err
	}
	if err := tree.Close(); err != nil {
		return err
	}
	if now, _ := ownV2(); path.Base(now) != leafName {
		return fmt.Errorf("moved to %s while another tree needs the leaf", now)
	}
	if l, err := other.Limits(); err != nil || l.Hugetlb["2MB"] != 2<<20 {
		return fmt.Errorf("the other tree's limit: %v, %w", l.Hugetlb, err)
	}
	if err := other.Close(); err != nil {
		return err
	}
	if err := second.Close(); err != nil {
		return err
	}
	if err := second.Close(); err != nil {
		return fmt.Errorf("second close: %w", err)
	}
	now, err := ownV2()
	if err != nil {
		return err
	}
	if !strings.HasSuffix(before, now) || path.Base(now) == leafName {
		return fmt.Errorf("at the end in %s, began in %s", now, before)
	}
	fmt.Println("restored")
	return help("wait", nil)
}

func ownV2() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	in, err := parseMemberships(bytes.NewReader(b))
	for _, m := range in {
		if m.controllers == nil {
			return m.path, err
		}
	}
	return "", err
}

func TestEvacuateAndRestore(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "hugetlb")
	if tree.v2() == nil || tree.dir("hugetlb") != tree.v2() {
		t.Skip("hugetlb is not on the v2 hierarchy")
	}
	g := newGroup(t, tree, Limits{Hugetlb: map[string]uint64{"2MB": 8 << 20}})
	c := start(t, g, "nested")
	if got := c.line(t); got != "restored" {
		t.Fatal(got)
	}
	d := g.v2()
	names, err := d.children()
	if err != nil || len(names) > 0 {
		t.Errorf("groups left below: %v, %v", names, err)
	}
	if on, err := d.read("cgroup.subtree_control"); err != nil || on != "" {
		t.Errorf("controllers left on: %q, %v", on, err)
	}
	if _, err := d.attr(); err == nil {
		t.Error("the mark is left")
	}
}

// A killed harness leaves its leaf with the shell that started it inside. An OCI runtime that it has run
// has enabled controllers that are not in the mark.
func TestRemoveLeaf(t *testing.T) {
	for name, mark := range map[string]string{"our own": "hugetlb", "a runtime's": ""} {
		t.Run(name, func(t *testing.T) { removeLeaf(t, mark) })
	}
}

func removeLeaf(t *testing.T, mark string) {
	tree := newTree(t)
	require(t, tree, "hugetlb")
	if tree.v2() == nil || tree.dir("hugetlb") != tree.v2() {
		t.Skip("hugetlb is not on the v2 hierarchy")
	}
	g := newGroup(t, tree, Limits{Hugetlb: map[string]uint64{"2MB": 8 << 20}})
	c := start(t, g, "wait")
	c.line(t)
	d := g.v2()
	if err := d.enable([]string{"hugetlb"}, true); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fsetxattr(d.fd, enabledAttr, []byte(mark), 0); err != nil {
		t.Fatal(err)
	}
	leaf := path.Join(d.path, leafName)
	if !d.has(leafName) || !d.empty() {
		t.Fatal("the process has not been moved")
	}
	if err := Remove(leaf); err != nil {
		t.Error(err)
	}
	list, err := d.read("cgroup.procs")
	if err != nil || !slices.Contains(strings.Fields(list), fmt.Sprint(c.cmd.Process.Pid)) {
		t.Errorf("processes after removal: %q, %v", list, err)
	}
}

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// TestLacks is a service of systemd's, to whose group not all controllers come down.
func TestLacks(t *testing.T) {
	top := t.TempDir()
	own := filepath.Join(top, "system.slice", "ci.service")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, controllers := range map[string]string{top: "cpuset cpu io memory pids\n", own: "memory pids\n"} {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(controllers), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := openDir(&dir{v2: true, top: top}, unix.AT_FDCWD, own, own)
	if err != nil {
		t.Fatal(err)
	}
	tree := &Tree{mode: V2, own: []*dir{d}, hidden: map[string]error{"cpu": fmt.Errorf("why: %w", kernel.ErrNotSupported)}}
	t.Cleanup(d.close)
	for controller, want := range map[string]string{
		"cpuset": "cpuset controller is not delegated to " + own + ": run it in a group of its own, such as systemd-run --scope -p Delegate=yes makes",
		"rdma":   "rdma controller is not delegated to " + own,
		"cpu":    "cpu controller: why: not supported",
	} {
		if err := tree.lacks(controller); !errors.Is(err, kernel.ErrNotSupported) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", controller, err, want)
		}
	}
	if err := tree.Require("memory", "pids"); err != nil {
		t.Errorf("what came down: %v", err)
	}
}

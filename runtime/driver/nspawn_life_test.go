package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
)

// named is where systemd has its own hierarchy of v1.
const named = "/sys/fs/cgroup/systemd"

// nspawnLeft are the directories that nspawn makes for a container beside its group: in name=systemd, and where it
// keeps what it shares with it.
func nspawnLeft(t *testing.T, s *stand) []string {
	t.Helper()
	var left []string
	for _, pattern := range []string{named + "/" + filepath.Base(s.parent.Name()) + "/*/*", "/run/systemd/nspawn/" + s.bundle.ID, "/run/systemd/nspawn/*/" + s.bundle.ID} {
		found, err := filepath.Glob(pattern)
		check(t, err)
		left = append(left, slices.DeleteFunc(found, func(p string) bool {
			info, err := os.Stat(p)
			return err != nil || !info.IsDir()
		})...)
	}
	return left
}

// TestKillOfNspawn kills a container whose processes are in groups below its own, and one that nobody kills.
func TestKillOfNspawn(t *testing.T) {
	for _, kill := range []bool{true, false} {
		s := newStand(t, "wait")
		rt := s.find(t, "systemd-nspawn")
		s.holds(t)
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		if left := nspawnLeft(t, s); len(left) == 0 {
			t.Error("while it runs nothing is found of what is to be gone")
		}
		if kill {
			check(t, c.Kill(unix.SIGKILL))
			if _, err := c.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
		check(t, c.Delete(t.Context()))
		if procs := s.procs(t); len(procs) > 0 {
			t.Errorf("left: %q", procs)
		}
		s.clean(t)
		if left := nspawnLeft(t, s); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// TestNspawnIDs has ids that are no names, also of groups.
func TestNspawnIDs(t *testing.T) {
	s := newStand(t, "exit")
	rt := s.find(t, "systemd-nspawn")
	for _, id := range []string{"../out", "", "a b", "propagate"} {
		s.bundle.ID = id
		c, err := rt.Create(t.Context(), s.bundle)
		check(t, err)
		check(t, c.Start(t.Context()))
		if status, err := c.Wait(t.Context()); err != nil || status.Code != 7 {
			t.Errorf("%q: %+v, %v", id, status, err)
		}
		check(t, c.Delete(t.Context()))
	}
	s.clean(t)
	if left, err := filepath.Glob("/run/systemd/nspawn/*/tool-*"); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	if _, err := os.Stat("/run/systemd/nspawn/propagate"); err != nil {
		t.Errorf("what all containers have together is gone: %v", err)
	}
}

// nspawnSaying is a program that says that it is nspawn of a version.
func nspawnSaying(t *testing.T, line string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nspawn")
	check(t, os.WriteFile(file, []byte("#!/bin/sh\necho '"+line+"'\n"), 0o755))
	return "systemd-nspawn=" + file
}

// TestNspawnPlace has hosts and versions that do not go together.
func TestNspawnPlace(t *testing.T) {
	for version, fits := range map[string]bool{"252": true, "257": true, "258": false} {
		s := newStand(t, "exit")
		rt := s.find(t, nspawnSaying(t, "systemd "+version+" ("+version+".38-1~deb12u1)"))
		if len(s.parent.Hierarchies()) == 1 {
			t.Skip("needs v1 beside cgroup v2")
		}
		if err := rt.Expresses(s.bundle); (err == nil) != fits || !fits && !(errors.Is(err, kernel.ErrNotSupported) && strings.Contains(err.Error(), "cgroup v2 alone")) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestNspawnTooOld(t *testing.T) {
	for line, want := range map[string]string{"systemd 251 (251.4-1)": "version 251.4-1 is older than 252", "systemd 252": "", "systemd 260 (260.1-1-arch)": ""} {
		_, err := driver.Find(t.Context(), nspawnSaying(t, line), nil)
		if want == "" && err != nil || want != "" && (!errors.Is(err, driver.ErrAbsent) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

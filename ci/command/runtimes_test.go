package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// fakeRuntime is one that makes nothing.
type fakeRuntime struct {
	driver.Runtime
	name string
}

func (f fakeRuntime) Name() string                            { return f.name }
func (f fakeRuntime) Version(context.Context) (string, error) { return "1", nil }
func (f fakeRuntime) Floor() spec.Rung                        { return spec.Bare }
func (f fakeRuntime) Lacks() spec.Edits                       { return nil }

// onlyOnPath makes a PATH on which nothing is but programs of these names, which print a version, or fail
// where a ! precedes the name.
func onlyOnPath(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		script := "#!/bin/sh\necho " + name + " version 1.0.3\n"
		if fails, ok := strings.CutPrefix(name, "!"); ok {
			name, script = fails, "#!/bin/sh\nexit 1\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return dir
}

func TestFindRuntimes(t *testing.T) {
	for _, tt := range []struct {
		name          string
		list, there   []string
		required      string
		found, absent []string
		fails         []string // what the error must say
	}{
		{name: "the core", list: []string{"core"}, found: []string{"core"}},
		{name: "in the order of the list", list: []string{"runc", "core"}, there: []string{"runc"}, found: []string{"runc", "core"}},
		{name: "absent", list: []string{"core", "runc"}, fails: []string{"runc", "not on this host", "install runc", "--runtime runc=PATH"}},
		{name: "absent by a path", list: []string{"runc=/no/such/runc"}, fails: []string{"/no/such/runc", "not on this host", "name the program"}},
		{name: "absent by its command line", list: []string{"oci:/no/such/youki"}, fails: []string{"/no/such/youki", "not on this host"}},
		{name: "another package", list: []string{"bwrap"}, fails: []string{"install bubblewrap"}},
		{name: "an explicit list heeds no requirement", list: []string{"core"}, required: "runc", found: []string{"core"}},
		{name: "all", list: []string{"all"}, there: []string{"crun"}, found: []string{"core", "crun"}, absent: []string{"runc"}},
		{name: "all, required and there", list: []string{"all"}, there: []string{"crun"}, required: "crun,", found: []string{"core", "crun"}, absent: []string{"runc"}},
		{name: "all, required and absent", list: []string{"all"}, there: []string{"crun"}, required: "crun,runc", fails: []string{"CELLWALL_REQUIRE", "runc", "install runc"}},
		{name: "all, and one is BusyBox's", list: []string{"all"}, there: []string{"!chroot"}, found: []string{"core"}, absent: []string{"runc", "chroot (ask PATH/chroot for its version: exit status 1)"}},
		{name: "required, and BusyBox's", list: []string{"all"}, there: []string{"!chroot"}, required: "chroot", fails: []string{"CELLWALL_REQUIRE", "chroot for its version", "install coreutils"}},
		{name: "by name, and BusyBox's", list: []string{"chroot"}, there: []string{"!chroot"}, fails: []string{"chroot for its version", "install coreutils"}},
		{name: "all, nothing there", list: []string{"all"}, found: []string{"core"}, absent: []string{"runc", "crun"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if slices.ContainsFunc(tt.list, func(name string) bool { return name != everyRuntime && driver.Check(name) != nil }) {
				t.Skip("this version knows no " + strings.Join(tt.list, ","))
			}
			dir := onlyOnPath(t, tt.there...)
			t.Setenv(requireVariable, tt.required)
			if err := checkRuntimes(tt.list); err != nil {
				t.Fatal(err)
			}
			found, absent, err := findRuntimes(t.Context(), tt.list, fakeRuntime{name: driver.CoreName})
			if len(tt.fails) > 0 {
				if err == nil || !errors.Is(err, driver.ErrAbsent) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("%v, %v, want one line that says that it is absent", found, err)
				}
				for _, want := range tt.fails {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("no %q in %v", want, err)
					}
				}
				want := exitInconclusive
				if strings.Contains(tt.list[0], "/") {
					want = exitUsage // a path is typed, not lacked
				}
				var c coded
				if !errors.As(done(err), &c) || c.code != want {
					t.Errorf("exit status %d, want %d", c.code, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, rt := range found {
				names = append(names, rt.Name())
			}
			if !slices.Equal(names, tt.found) {
				t.Errorf("found %v, want %v", names, tt.found)
			}
			if tt.list[0] != everyRuntime {
				tt.absent = nil
			} else if len(names)+len(absent) != len(driver.Names()) {
				t.Errorf("found %v, absent %v of %v: one is silent", names, absent, driver.Names())
			}
			for _, name := range tt.absent {
				name = strings.ReplaceAll(name, "PATH", dir)
				if !slices.Contains(absent, name) {
					t.Errorf("absent are %v, want %s too", absent, name)
				}
			}
			if tt.absent == nil && absent != nil {
				t.Errorf("absent are %v", absent)
			}
		})
	}
}

// A runtime that is there and does not say what it is takes no other's verdicts away, and is an error
// where somebody asks for it.
func TestARuntimeWithoutAVersion(t *testing.T) {
	dir := onlyOnPath(t, "!runc")
	core := fakeRuntime{name: driver.CoreName}
	found, absent, err := findRuntimes(t.Context(), []string{everyRuntime}, core)
	if want := "runc (ask " + dir + "/runc for its version: exit status 1)"; err != nil || len(found) != 1 || !slices.Contains(absent, want) {
		t.Errorf("found %v, absent %q, %v; want %q", found, absent, err, want)
	}
	t.Setenv(requireVariable, "runc")
	for _, list := range []string{everyRuntime, "runc"} {
		if _, _, err := findRuntimes(t.Context(), []string{list}, core); err == nil || errors.Is(err, driver.ErrAbsent) || !strings.Contains(err.Error(), "runc") {
			t.Errorf("%s: %v", list, err)
		}
	}
}

func TestRequiredRuntimesAreKnown(t *testing.T) {
	t.Setenv(requireVariable, "runc,moon")
	code, _, errs := call(t, "verify", "--runtime", "all")
	if code != exitUsage || !strings.Contains(errs, requireVariable) || !strings.Contains(errs, `"moon"`) {
		t.Errorf("exit status %d, %q", code, errs)
	}
}

func TestShortName(t *testing.T) {
	for name, want := range map[string]string{
		"runc": "runc", "runc=/opt/a=b/runc": "runc", "core": "core", "oci:/opt/a=b": "oci:/opt/a=b", "moon=/x": "moon=/x",
		"runc@new=/opt/runc": "runc@new", "moon@new=/x": "moon@new=/x",
	} {
		if got := shortName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

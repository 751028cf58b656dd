package command

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// TestChoose has a selection of which one runtime has all, one has none and one has none at its lowest rung.
func TestChoose(t *testing.T) {
	runtimes := []driver.Runtime{fakeRuntime{name: "core"}, fakeRuntime{name: "chroot"}, fakeRuntime{name: "unshare"}}
	rungs := func(rt driver.Runtime) []spec.Rung {
		return map[string][]spec.Rung{"core": {spec.Hardened}, "chroot": {spec.Chroot}, "unshare": {spec.Chroot, spec.Limits}}[rt.Name()]
	}
	for _, tt := range []struct {
		name, required, fails string
		list                  []string
		only                  string
		found                 []driver.Runtime
		unasked               []string
	}{
		{name: "all", list: []string{"all"}, only: "memory.*", found: runtimes, unasked: []string{"chroot at chroot", "unshare at chroot"}},
		{name: "all have rows", list: []string{"all"}, only: "fs.dotdot", found: runtimes},
		{name: "none has", list: []string{"all"}, only: "memory.*", found: runtimes[1:2], fails: "for any of chroot at chroot"},
		{name: "named", list: []string{"core", "chroot"}, only: "memory.*", found: runtimes[:2], fails: "no guarantee of the selection is for chroot at rung chroot"},
		{name: "named with its path", list: []string{"core", "chroot=/opt/chroot"}, only: "memory.*", found: runtimes[:2], fails: "for chroot at rung chroot"},
		{name: "required", list: []string{"all"}, required: "chroot", only: "memory.*", found: runtimes, fails: "for chroot at rung chroot"},
		{name: "another is required", list: []string{"all"}, required: "core", only: "memory.*", found: runtimes[:2], unasked: []string{"chroot at chroot"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(requireVariable, tt.required)
			f := tourFlags{runtimes: tt.list, only: []string{tt.only}}
			chosen, unasked, err := f.choose(tt.found, rungs, func(r spec.Rung, g *guarantee.Guarantee) bool { return r.Covers(g.Rung) })
			if tt.fails != "" {
				var c coded
				if err == nil || !errors.As(err, &c) || c.code != exitUsage || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("%v, want misuse with %q", err, tt.fails)
				}
				return
			}
			if err != nil || !slices.Equal(unasked, tt.unasked) {
				t.Errorf("unasked %q, %v, want %q", unasked, err, tt.unasked)
			}
			subjects := 0
			for _, c := range chosen {
				for _, s := range c.subjects {
					if subjects++; len(s.Rows) == 0 {
						t.Errorf("%s at %s has no rows", c.runtime.Name(), s.Rung)
					}
				}
			}
			all := 0
			for _, rt := range tt.found {
				all += len(rungs(rt))
			}
			if subjects+len(unasked) != all {
				t.Errorf("%d subjects and %q of %d: one is silent", subjects, unasked, all)
			}
		})
	}
}

func TestTellOfSilent(t *testing.T) {
	var b strings.Builder
	tellOfSilent(&b, []string{"runc", "crun"}, []string{"docker: does not start a container here: no daemon"}, []string{"chroot at chroot"})
	if want := "not on this host, and not verified: runc, crun\ndocker: does not start a container here: no daemon\nwithout a guarantee of the selection, and not verified: chroot at chroot\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	if tellOfSilent(&b, nil, nil, nil); b.Len() > 0 {
		t.Errorf("nobody is silent, and still: %q", b.String())
	}
}

// TestNobodyIsVerifiedInSilence asks by name for a runtime that the selection has nothing for.
func TestNobodyIsVerifiedInSilence(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	for list, want := range map[string]string{"core,chroot": "is for chroot at rung chroot", "all": "is for core at rung chroot"} {
		t.Setenv(requireVariable, "core")
		args := []string{"verify", "--runtime", list, "--only", "memory.*"}
		if list == "all" {
			args = append(args, "--rung", "chroot")
		}
		code, out, errs := call(t, args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: exit status %d, %q, %q", list, code, out, errs)
		}
	}
}

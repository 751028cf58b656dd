package claim

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// templated is the runtime of a template whose program is there everywhere.
func templated(t *testing.T, promises string) driver.Runtime {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.yaml")
	text := "name: mine\nversion: [echo, '1']\ncommand: [sh, '{cmd}']\nrung: limits\n" + promises
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rt, err := driver.Find(t.Context(), driver.ExecPrefix+file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func TestPromises(t *testing.T) {
	rt := templated(t, "claims: ['fs.*', pids.fork-bomb]\nexcept:\n  - rows: fs.no*\n    reason: no flags\n")
	if err := Check(rt); err != nil {
		t.Error(err)
	}
	for row, want := range map[string]string{
		"fs.dotdot":      "",
		"pids.fork-bomb": "",
		"fs.noexec":      "no flags (" + strings.TrimPrefix(rt.Name(), driver.ExecPrefix) + ":7)",
		"uts.hostname":   "does not claim it",
	} {
		e := Of(rt, "1", row, spec.Namespaces)
		switch {
		case (e == nil) != (want == ""):
			t.Errorf("%s: %+v", row, e)
		case e != nil && (!strings.Contains(e.Reason+" ("+e.Source+")", want) || e.Known):
			t.Errorf("%s: %+v, want %q", row, e, want)
		}
	}
}

func TestCheckNamesAGlobThatMatchesNothing(t *testing.T) {
	for _, c := range []struct{ promises, want string }{
		{"claims:\n  - fs.*\n  - fs.nothing\n", `x.yaml:7: "fs.nothing" matches no row`},
		{"claims: ['*']\nexcept:\n  - rows: nothing.*\n    reason: a\n", `x.yaml:7: "nothing.*" matches no row`},
	} {
		if err := Check(templated(t, c.promises)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", c.promises, err, c.want)
		}
	}
	if err := Check(named{name: "runc"}); err != nil {
		t.Error(err)
	}
}

// TestExamples checks the templates of the documentation against the catalogue.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../docs/examples/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("examples: %q, %v", files, err)
	}
	for _, file := range files {
		name := driver.ExecPrefix + file
		rt, err := driver.Find(t.Context(), name, nil)
		if errors.Is(err, driver.ErrAbsent) {
			t.Log(err)
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if err := Check(rt); err != nil {
			t.Error(err)
		}
		if rung := DefaultRung(rt); rung != rt.Floor() {
			t.Errorf("%s is verified at %s and makes %s", file, rung, rt.Floor())
		}
	}
}

func TestDefaultRung(t *testing.T) {
	for name, want := range map[string]spec.Rung{
		"core": spec.Hardened, "runc": spec.Hardened, "oci:/usr/bin/youki": spec.Hardened, "bwrap": spec.Hardened, "runsc": spec.Hardened,
		"unshare": spec.Namespaces, "chroot": spec.Chroot,
	} {
		if got := DefaultRung(named{name: name}); got != want {
			t.Errorf("%s is verified at %s, want %s", name, got, want)
		}
	}
}

func TestDefaultRungOfATemplate(t *testing.T) {
	if got := DefaultRung(templated(t, "claims: ['*']\n")); got != spec.Limits {
		t.Errorf("a template of limits is verified at %s", got)
	}
}

// TestChrootClaims keeps the list of what a root directory alone can do: everything else that a higher
// rung has is claimed by nobody.
func TestChrootClaims(t *testing.T) {
	claimed := map[string]bool{
		"fs.dotdot": true, "fs.bundle-private": true, "user.supplementary-groups": true, "lifecycle.no-state-left": true,
		"lifecycle.no-fd-growth": true, "lifecycle.failed-create-clean": true, "lifecycle.id-traversal": true,
	}
	lacks := spec.Edits{spec.WithoutNamespace("pid")}
	for _, g := range guarantee.All() {
		if e := Of(named{name: "chroot", lacks: lacks}, "9.1", g.ID, spec.Hardened); (e == nil) != claimed[g.ID] {
			t.Errorf("%s: %+v", g.ID, e)
		}
	}
}

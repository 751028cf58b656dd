package judge_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// hidden has runsc's command line, has runc make the container, and gives the program one argument more, so
// that nothing on the host is taken for the attacker by its arguments.
const hidden = `#!/bin/sh
case $1 in
--version) echo runsc version release-20240401.0; exit ;;
flags) exit ;;
features) exit 1 ;;
esac
last=
for a; do
	shift
	[ "$last" != --bundle ] || sed -i 's/"],"env":/","more"],"env":/' "$a/config.json"
	last=$a
	case $a in --network=*) ;; *) set -- "$@" "$a" ;; esac
done
exec runc "$@"
`

// TestSandbox: the rows of a sandbox are proven by controls on the core, and its process is the one that
// it names.
func TestSandbox(t *testing.T) {
	j, _ := newJudge(t)
	if _, err := exec.LookPath("runc"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "runsc")
	if err := os.WriteFile(path, []byte(hidden), 0o755); err != nil {
		t.Fatal(err)
	}
	rt, err := driver.Find(t.Context(), "runsc="+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := j.Run.Judge(t.Context(), rt)
	if err != nil {
		t.Fatal(err)
	}
	if err := sandbox.Starts(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, g := range guarantee.All() {
		if !guarantee.Match([]string{"fs.dotdot", "fs.control-sockets", "uts.hostname-host"}, g.ID) {
			continue
		}
		v := sandbox.Check(t.Context(), g, spec.Hardened)
		if v.Outcome != record.Held || !v.Proven() || v.Alone != nil {
			t.Errorf("%s: %s, alone %+v: %s", g.ID, v.Outcome, v.Alone, v.Reason)
		}
		for _, c := range v.Controls {
			if c.On != driver.CoreName {
				t.Errorf("%s: a control on %s", g.ID, c.On)
			}
		}
	}
}

// TestUntried: what no trial can tell of a sandbox is not tried, by a strict judge neither.
func TestUntried(t *testing.T) {
	j, _ := newJudge(t)
	path := filepath.Join(t.TempDir(), "runsc")
	if err := os.WriteFile(path, []byte(hidden), 0o755); err != nil {
		t.Fatal(err)
	}
	rt, err := driver.Find(t.Context(), "runsc="+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, strict := range []bool{false, true} {
		sandbox, err := j.Run.Judge(t.Context(), rt)
		if err != nil {
			t.Fatal(err)
		}
		sandbox.Strict = strict
		v := sandbox.Check(t.Context(), row(t, "process.own-namespaces"), spec.Hardened)
		if v.Outcome != record.Unsupported || v.Claimed || len(v.Tries) > 0 || !strings.Contains(v.Reason, "no process of a sandbox") {
			t.Errorf("strict is %v: %s, claimed %v, %d tries: %s", strict, v.Outcome, v.Claimed, len(v.Tries), v.Reason)
		}
	}
}

func row(t *testing.T, id string) *guarantee.Guarantee {
	t.Helper()
	i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == id })
	if i < 0 {
		t.Fatalf("no row %s", id)
	}
	return guarantee.All()[i]
}

// TestRealSandbox: what is known of gVisor is seen, and hides nothing else.
func TestRealSandbox(t *testing.T) {
	j, _ := newJudge(t)
	rt, err := driver.Find(t.Context(), "runsc", nil)
	if errors.Is(err, driver.ErrAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := j.Run.Judge(t.Context(), rt)
	if err != nil {
		t.Fatal(err)
	}
	for id, known := range map[string]bool{
		"fs.image-symlink":              false, // one of its containers is refused, which leaves a cgroup
		"fs.nodev":                      false, // the host sees nothing of its mounts
		"lifecycle.no-mount-left":       false,
		"fs.rro-submount":               true,
		"lifecycle.failed-create-clean": true,
	} {
		v := sandbox.Check(t.Context(), row(t, id), spec.Hardened)
		if v.Known() != known || !known && (v.Outcome != record.Held || !v.Proven()) {
			t.Errorf("%s: %s: %s %s", id, v.Outcome, v.Reason, v.Evidence)
		}
	}
}

package judge_test

import (
	"os"
	"os/exec"
	"path/filepath"
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

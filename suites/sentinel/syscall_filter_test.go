package sentinel

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// stat is a line of /proc/PID/stat with zeros where nobody looks.
func stat(name, state, exitCode string) string {
	return fmt.Sprintf("7 (%s) %s%s %s\n", name, state, strings.Repeat(" 0", 48), exitCode)
}

func TestParseEnd(t *testing.T) {
	for _, c := range []struct {
		name, stat string
		want       unix.Signal
		fails      bool
	}{
		{name: "exited", stat: stat("x", "Z", "256"), want: 0},
		{name: "killed by a rule, with a core", stat: stat("x", "Z", "159"), want: unix.SIGSYS},
		{name: "killed", stat: stat("x", "Z", "9"), want: unix.SIGKILL},
		{name: "a name that looks like the rest", stat: stat("x) Z"+strings.Repeat(" 0", 48)+" 31", "Z", "9"), want: unix.SIGKILL},
		{name: "alive", stat: stat("x", "S", "31"), fails: true},
		{name: "alive with a zombie's name", stat: stat("x) Z (", "S", "31"), fails: true},
		{name: "short", stat: "7 (x) Z 0", fails: true},
		{name: "empty", stat: "", fails: true},
		{name: "no number", stat: stat("x", "Z", "x"), fails: true},
	} {
		got, err := parseEnd([]byte(c.stat))
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func FuzzParseEnd(f *testing.F) {
	f.Add([]byte(stat("x", "Z", "159")))
	f.Add([]byte(") Z"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if signal, err := parseEnd(b); err == nil && (signal < 0 || signal > 0x7f) {
			t.Errorf("%q ended by %d", b, signal)
		}
	})
}

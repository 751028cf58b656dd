package command

import (
	"regexp"
	"strings"
	"testing"
)

// TestHelp: what helps is asked for in several ways, and is an answer: on stdout, with exit status 0.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"-h"}, {"help"}, {"help", "verify"}, {"verify", "--help"}, {"run", "-h", "--", "sh"}, {"help", "history", "add"}} {
		code, out, errs := call(t, args...)
		if code != 0 || errs != "" || !strings.Contains(out, "Usage:\n  cellwall") {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
	if code, out, errs := call(t, "--version"); code != 0 || errs != "" || !strings.HasPrefix(out, "cellwall version ") {
		t.Errorf("--version: exit status %d, stdout %q, stderr %q", code, out, errs)
	}
}

// TestHelpOfFlags: the name of a flag's value is one word. pflag takes what stands between back quotes for it,
// wherever that is in the text.
func TestHelpOfFlags(t *testing.T) {
	line := regexp.MustCompile(`^ +(-[a-z], )?--[a-z-]+( [A-Za-z]+)? {3}\s*\S`)
	for _, s := range subcommands() {
		_, out, _ := call(t, s.name, "--help")
		_, flags, ok := strings.Cut(out, "\nFlags:\n")
		flags, _, _ = strings.Cut(flags, "\n\n")
		if !ok {
			t.Errorf("%s: no flags in\n%s", s.name, out)
		}
		for l := range strings.Lines(flags) {
			if !line.MatchString(l) {
				t.Errorf("%s: %q", s.name, l)
			}
		}
	}
}

package attacker

import (
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrite: what is written is the attacker and the sentinel process, by its name.
func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "attacker")
	if err := Write(file); err != nil {
		t.Fatal(err)
	}
	said := func(args ...string) string {
		cmd := exec.Command(file, args[1:]...)
		cmd.Args[0] = args[0]
		out, err := cmd.CombinedOutput()
		if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := said("cellwall-attacker", "none", "{}", "token"); !strings.Contains(got, `no attack "none"`) {
		t.Errorf("as the attacker it said %q", got)
	}
	if got := strings.TrimSpace(said("cellwall-sentinel", "nonce")); got == "" || strings.Trim(got, "0123456789") != "" {
		t.Errorf("as the sentinel process it said %q and no address", got)
	}
	if err := Write(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written over what was there: %v", err)
	}
}

//go:build embedded

package attacker

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// TestEmbeddedIsOfThisSource: an old one would try what the catalogue no longer says.
func TestEmbeddedIsOfThisSource(t *testing.T) {
	cmd := exec.Command("go", "generate", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	built, err := os.ReadFile("attacker-" + runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, small) {
		t.Error("the embedded attacker was built of other source: make attacker, before go with -tags embedded")
	}
}

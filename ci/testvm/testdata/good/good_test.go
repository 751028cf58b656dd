// Package good has tests that pass.
package good

import (
	"os"
	"os/exec"
	"testing"
)

func TestData(t *testing.T) {
	text, err := os.ReadFile("testdata/below/text")
	if err != nil || string(text) != "here\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestProgram(t *testing.T) {
	if err := exec.Command("sh", "-c", "true").Run(); err != nil {
		t.Error(err)
	}
}

func TestInside(t *testing.T) {
	if _, err := os.Stat("/test2json"); err != nil {
		t.Errorf("this is no guest: %v", err)
	}
}

func TestSkipped(t *testing.T) { t.Skip("needs a tape") }

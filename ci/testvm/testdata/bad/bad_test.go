// Package bad has a test that fails and one that dies.
package bad

import (
	"os"
	"testing"
)

func TestFails(t *testing.T) { t.Error("no milk") }

func TestDies(*testing.T) {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	panic(err)
}

// Package load is what runs inside the containers that are measured: programs of a few instructions, and
// this binary under another name.
//
// It reports what it measured by itself, over its standard streams. It imports nothing but the standard
// library and x/sys.
package load

import (
	"os"
	"path/filepath"
)

// Program is the base name under which the binary is a load and nothing else.
const Program = "cellwall-load"

// Main runs the load program.
func Main(args []string) int { return 2 }

// The load is this whole binary under another name. It takes over before the packages that only the
// harness needs are initialised: Go initialises by import path among those whose imports are ready.
func init() {
	if filepath.Base(os.Args[0]) == Program {
		os.Exit(Main(os.Args))
	}
}

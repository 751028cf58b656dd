// Command cellwall proves that a container's walls hold: see README.md.
package main

import (
	"os"

	"cellwall/ci/command"
	"cellwall/ci/vm/guest"
)

func main() {
	// In a virtual machine that ci/vm boots, this binary is init. Nowhere else is that true.
	if guest.Here() {
		guest.Main()
	}
	os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

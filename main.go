// Command cellwall proves that a container's walls hold: see README.md.
package main

import (
	"context"
	"os"

	"cellwall/ci/command"
	"cellwall/ci/vm/guest"
)

func main() {
	// In a virtual machine that ci/vm boots, this binary is init. Nowhere else is that true.
	if guest.Here() {
		guest.Main()
	}
	if os.Getpid() == 1 {
		os.Exit(command.UnderInit())
	}
	os.Exit(command.Main(command.UntilEnd(context.Background()), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

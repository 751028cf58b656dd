// Command cellwall proves that a container's walls hold: see README.md.
package main

import (
	"context"
	"os"
	"os/signal"

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
	// Its stop is not called on purpose: that would start two threads, and the process is about to exit.
	ctx, _ := signal.NotifyContext(context.Background(), command.Ends()...)
	os.Exit(command.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Command cellwall proves that a container's walls hold: see README.md.
package main

import (
	"os"

	"cellwall/ci/command"
)

func main() { os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

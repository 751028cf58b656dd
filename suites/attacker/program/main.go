// Command program is the attacker by itself: package attack and the sentinel process, which take over as they
// are initialised, by the name that the program is given.
package main

import (
	"fmt"
	"os"

	_ "cellwall/suites/attack"
	_ "cellwall/suites/sentinel/stub"
)

func main() {
	fmt.Fprintln(os.Stderr, "cellwall-attacker: for use by cellwall alone")
	os.Exit(2)
}

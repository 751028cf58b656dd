//go:build !embedded

package attacker

import ( // what takes over
	_ "cellwall/suites/attack"
	_ "cellwall/suites/sentinel/stub"
)

// small is empty: the attacker is the whole program.
var small []byte

package attack

import "strings"

var fsAttacks = []Attack{
	Dotdot,
}

// Dotdot reads Target.Path, a host path, by climbing out of the root directory with "..".
var Dotdot = Attack{Name: "fs.dotdot", Run: func(a *Attempt) {
	for _, climb := range []string{"/..", "../../..", "/" + strings.Repeat("../", 64)} {
		a.ReadFile(climb + a.Target.Path)
	}
}}

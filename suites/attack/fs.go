package attack

import (
	"slices"
	"strings"
)

var fsAttacks = slices.Concat([]Attack{
	Dotdot,
}, fsRootAttacks, fsWriteAttacks, fsExecAttacks, fsMountAttacks, fsHandleAttacks)

// climb is longer than any path is deep.
var climb = strings.Repeat("../", 64)

// Dotdot reads Target.Path, a host path, by climbing out of the root directory with "..".
var Dotdot = Attack{Name: "fs.dotdot", Run: func(a *Attempt) {
	for _, climb := range []string{"/..", "../../..", "/" + climb} {
		a.ReadFile(climb + a.Target.Path)
	}
}}

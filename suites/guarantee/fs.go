package guarantee

import (
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

var fsRows = []Guarantee{{
	ID:       "fs.dotdot",
	Claim:    "cannot reach the host tree through '..' from its root",
	Source:   "chroot(2), path_resolution(7)",
	Barrier:  "root directory",
	Rung:     spec.Chroot,
	Attack:   attack.Dotdot,
	Witness:  sentinel.CanaryFile,
	Refusal:  Refusals{unix.ENOENT: RootDirectory},
	Controls: spec.Edits{spec.HostRoot()},
}}

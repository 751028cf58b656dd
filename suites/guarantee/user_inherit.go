package guarantee

import (
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// What a container must not inherit of its launcher.
func userInheritRows() []Guarantee {
	return []Guarantee{{
		ID:       "user.session-keyring",
		Claim:    "shares no kernel keyring with its launcher",
		Source:   "keyrings(7), session-keyring(7)",
		Barrier:  "new session keyring",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.Keyrings},
		Attack:   attack.SessionKeyring,
		Witness:  sentinel.LauncherKeyring,
		Refusal:  Refusals{unix.ENOKEY: Kernel, unix.EACCES: Kernel},
		Both:     spec.Edits{spec.Allowing("keyctl", "add_key", "request_key")},
		Controls: spec.Edits{spec.Omitting("the launcher's session keyring", "session-keyring")},
	}, {
		ID:       "user.supplementary-groups",
		Claim:    "inherits no supplementary group of its launcher",
		Source:   "setgroups(2); CVE-2022-2989, CVE-2022-2990, CVE-2023-25173",
		Barrier:  "setgroups by the runtime",
		Rung:     spec.Runtime,
		Attack:   attack.SupplementaryGroups,
		Witness:  sentinel.LauncherGroup,
		Refusal:  Refusals{unix.EACCES: DAC},
		Controls: spec.Edits{spec.Omitting("the launcher's groups", "set-groups")},
	}}
}

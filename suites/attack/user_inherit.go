package attack

import (
	"fmt"

	"golang.org/x/sys/unix"
)

var userInheritAttacks = []Attack{
	SessionKeyring,
	SupplementaryGroups,
	SetgroupsDeny,
}

// SessionKeyring looks in its session's and its user's keyrings for the key Target.Name, and
// reads it.
var SessionKeyring = Attack{Name: "user.session-keyring", Run: func(a *Attempt) {
	for _, ring := range []struct {
		name string
		id   int
	}{
		{"session", unix.KEY_SPEC_SESSION_KEYRING},
		{"user", unix.KEY_SPEC_USER_KEYRING},
		{"user session", unix.KEY_SPEC_USER_SESSION_KEYRING},
	} {
		key, err := unix.KeyctlSearch(ring.id, "user", a.Target.Name, 0)
		if !a.Try(fmt.Sprintf("keyctl search %s keyring", ring.name), err) {
			continue
		}
		_, err = unix.KeyctlString(unix.KEYCTL_DESCRIBE, key)
		a.Try("keyctl describe", err)
		secret := make([]byte, 128)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, key, secret, 0)
		if a.Try("keyctl read", err) {
			a.Saw(string(secret[:min(n, len(secret))]))
		}
	}
	a.ReadFile("/proc/keys")
}}

// SupplementaryGroups reads Target.Path of the root directory, to which a group opens the way,
// and holds.
var SupplementaryGroups = Attack{Name: "user.supplementary-groups", Run: func(a *Attempt) {
	groups, err := unix.Getgroups()
	if a.Try("getgroups", err) {
		a.Fact("groups", groups)
	}
	a.ReadFile(a.Inside(a.Target.Path))
	a.Hold("groups")
}}

// SetgroupsDeny drops its groups, reads Target.Path of the root directory, which one of them was
// denied, and holds.
var SetgroupsDeny = Attack{Name: "user.setgroups-deny", Run: func(a *Attempt) {
	a.Try("setgroups to another one", unix.Setgroups([]int{1}))
	a.Try("setgroups to none", unix.Setgroups(nil))
	a.ReadFile(a.Inside(a.Target.Path))
	a.Hold("groups")
}}

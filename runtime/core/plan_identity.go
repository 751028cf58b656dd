package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// identity gives up what the program is not to have: resource limits, capabilities, ids. The
// order is the kernel's: bounding set while CAP_SETPCAP is held, groups before ids, and the
// permitted capabilities kept across the change of ids to be cut down after it.
func (p *planner) identity() error {
	p.rlimits()
	if !p.Spec.Process.NoNewPrivileges {
		// Without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go.
		if err := p.seccomp(); err != nil {
			return err
		}
	}
	caps := p.Spec.Process.Capabilities
	if caps == nil {
		caps = &specs.LinuxCapabilities{}
	}
	p.bounding(caps.Bounding)
	if (p.Host.Rootless || p.plan.DenySetgroups) && len(p.Spec.Process.User.AdditionalGids) > 0 {
		return errors.New("process.user.additionalGids cannot be set where setgroups is denied")
	}
	p.ids()
	if err := p.capset(caps); err != nil {
		return err
	}
	p.ambient(caps)
	if p.Spec.Process.NoNewPrivileges {
		p.add(Step{
			ID: "no-new-privs", Barrier: "no_new_privs",
			Text:   "set no_new_privs",
			number: unix.SYS_PRCTL, args: calls(num(unix.PR_SET_NO_NEW_PRIVS), num(1), num(0), num(0), num(0)),
		})
	}
	return nil
}

func (p *planner) bounding(keep []string) {
	for c := range p.Host.LastCapability + 1 {
		name := kernel.CapabilityName(c)
		if slices.Contains(keep, name) {
			continue
		}
		p.add(Step{
			ID: "bounding-set", Barrier: "capability " + name,
			Text:   "drop " + name + " from the bounding set",
			number: unix.SYS_PRCTL, args: calls(num(unix.PR_CAPBSET_DROP), num(c)),
		})
	}
}

func (p *planner) ids() {
	user := p.Spec.Process.User
	p.add(Step{
		Text:   "keep capabilities across the change of user",
		number: unix.SYS_PRCTL, args: calls(num(unix.PR_SET_KEEPCAPS), num(1)),
	})
	if !p.Host.Rootless && !p.plan.DenySetgroups {
		groups := make([]byte, 0, 4*len(user.AdditionalGids))
		for _, g := range user.AdditionalGids {
			groups = binary.NativeEndian.AppendUint32(groups, g)
		}
		p.add(Step{
			ID: "set-groups", Barrier: "setgroups by the runtime",
			Text:   fmt.Sprintf("set supplementary groups to %v", user.AdditionalGids),
			number: unix.SYS_SETGROUPS, args: calls(num(len(user.AdditionalGids)), mem(groups)),
		})
	}
	p.add(
		Step{
			Text:   fmt.Sprintf("become group %d", user.GID),
			number: unix.SYS_SETRESGID, args: calls(num(user.GID), num(user.GID), num(user.GID)),
		},
		Step{
			Text:   fmt.Sprintf("become user %d", user.UID),
			number: unix.SYS_SETRESUID, args: calls(num(user.UID), num(user.UID), num(user.UID)),
		},
		Step{
			ID: "umask", Barrier: "umask by the runtime",
			Text:   fmt.Sprintf("set the umask to %04o", umask(user)),
			number: unix.SYS_UMASK, args: calls(num(umask(user))),
		},
	)
}

// umask is the spec's, or the one that every runtime takes where the spec is silent.
func umask(u specs.User) uint32 {
	if u.Umask != nil {
		return *u.Umask & 0o777
	}
	return 0o022
}

// capset sets the three sets of capset(2). The kernel refuses more than the child holds, so
// that a spec that asks for too much fails and is not quietly weaker than it says.
func (p *planner) capset(caps *specs.LinuxCapabilities) error {
	const version3 = 0x20080522 // _LINUX_CAPABILITY_VERSION_3
	header := binary.NativeEndian.AppendUint32(nil, version3)
	header = binary.NativeEndian.AppendUint32(header, 0)
	var sets [3]uint64
	for i, list := range [][]string{caps.Effective, caps.Permitted, caps.Inheritable} {
		for _, name := range list {
			c, ok := kernel.CapabilityNumber(name)
			if !ok {
				return fmt.Errorf("capability %q is unknown", name)
			}
			sets[i] |= 1 << c
		}
	}
	data := make([]byte, 0, 24)
	for shift := 0; shift < 64; shift += 32 {
		for _, s := range sets {
			data = binary.NativeEndian.AppendUint32(data, uint32(s>>shift))
		}
	}
	p.add(Step{
		ID: "capabilities", Barrier: "capabilities",
		Text:   "set capabilities to " + capabilityText(caps, p.Host.LastCapability),
		number: unix.SYS_CAPSET, args: calls(mem(header), mem(data)),
	})
	return nil
}

func capabilityText(caps *specs.LinuxCapabilities, last int) string {
	switch n := len(caps.Permitted); {
	case n == 0:
		return "none"
	case n > last-4:
		return fmt.Sprintf("%d of %d", n, last+1)
	default:
		return strings.Join(caps.Permitted, " ")
	}
}

// ambient raises what can be: a capability that is not both permitted and inheritable cannot be
// ambient (capabilities(7)), though `runc spec` up to 1.1 lists some.
func (p *planner) ambient(caps *specs.LinuxCapabilities) {
	p.add(Step{
		Text:   "clear the ambient set",
		number: unix.SYS_PRCTL, args: calls(num(unix.PR_CAP_AMBIENT), num(unix.PR_CAP_AMBIENT_CLEAR_ALL), num(0), num(0), num(0)),
	})
	for _, name := range caps.Ambient {
		if !slices.Contains(caps.Permitted, name) || !slices.Contains(caps.Inheritable, name) {
			continue
		}
		c, _ := kernel.CapabilityNumber(name)
		p.add(Step{
			Text:   "raise ambient " + name,
			number: unix.SYS_PRCTL, args: calls(num(unix.PR_CAP_AMBIENT), num(unix.PR_CAP_AMBIENT_RAISE), num(c), num(0), num(0)),
		})
	}
}

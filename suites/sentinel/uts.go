package sentinel

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// names are what a uts namespace holds.
type names struct{ host, domain string }

// readNames reads those of the calling thread.
func readNames() (names, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return names{}, fmt.Errorf("read host name: %w", err)
	}
	return names{host: unix.ByteSliceToString(u.Nodename[:]), domain: unix.ByteSliceToString(u.Domainname[:])}, nil
}

// utsHost makes a uts namespace with a name of its own that stands in for the host's. The edit
// gives the container another one, so that no two of the three share a name.
func (s *Stage) utsHost() (host *standIn, own, theirs names, edit spec.Edit, err error) {
	if own, err = readNames(); err != nil {
		return nil, own, theirs, edit, err
	}
	if host, err = s.standIn(unix.CLONE_NEWUTS); err != nil {
		return nil, own, theirs, edit, err
	}
	theirs = names{host: "host-of-" + s.Name, domain: "domain-of-" + s.Name}
	edit = spec.Change("a host name of the trial's", func(c *specs.Spec) {
		if spec.HasNamespace(c, specs.UTSNamespace) {
			c.Hostname = s.Name
		}
	})
	err = host.inside(func() error {
		if err := errors.Join(unix.Sethostname([]byte(theirs.host)), unix.Setdomainname([]byte(theirs.domain))); err != nil {
			return fmt.Errorf("name the stand-in: %w", err)
		}
		return nil
	})
	return host, own, theirs, edit, err
}

// HostNameKept compares the names of the host, and of what stands in for it, before and after.
func HostNameKept(s *Stage) (*Watch, error) {
	host, own, theirs, edit, err := s.utsHost()
	if err != nil {
		return nil, err
	}
	return host.guard(&Watch{
		Edits:  spec.Edits{edit},
		Target: attack.Target{Name: "attacked", Extra: own.host},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (f Finding, err error) {
			if err := MustTry(r, "sethostname", "setdomainname"); err != nil {
				return f, err
			}
			ownNow, err := readNames()
			if err != nil {
				return f, err
			}
			var theirsNow names
			if err := host.inside(func() (err error) { theirsNow, err = readNames(); return err }); err != nil {
				return f, err
			}
			f = Finding{
				Breached: ownNow != own,
				Evidence: fmt.Sprintf("the host's names are %q and %q, they were %q and %q", theirsNow.host, theirsNow.domain, theirs.host, theirs.domain),
			}
			return f.of(part{"the host name", theirsNow.host != theirs.host}, part{"the domain name", theirsNow.domain != theirs.domain}), nil
		},
	}), nil
}

// OwnNameKept enters the attacker's uts namespace before and after its attempts and compares.
func OwnNameKept(s *Stage) (*Watch, error) {
	host, own, _, edit, err := s.utsHost()
	if err != nil {
		return nil, err
	}
	var before, after names
	look := func(pid int, n *names) error {
		return inNamespace(unix.CLONE_NEWUTS, fmt.Sprintf("/proc/%d/ns/uts", pid), func() (err error) { *n, err = readNames(); return err })
	}
	return host.guard(&Watch{
		Edits:  spec.Edits{edit},
		Target: attack.Target{Name: "attacked", Extra: own.host},
		Ready:  func(_ context.Context, a *Subject) error { return look(a.PID, &before) },
		Hold:   func(_ context.Context, _ string, a *Subject) error { return look(a.PID, &after) },
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if after.host == "" {
				return Finding{}, errors.New("the attacker did not come to its end")
			}
			f := Finding{Evidence: fmt.Sprintf("its names are %q and %q, they were %q and %q", after.host, after.domain, before.host, before.domain)}
			return f.of(part{"the host name", after.host != before.host}, part{"the domain name", after.domain != before.domain}),
				MustTry(r, "sethostname", "setdomainname")
		},
	}), nil
}

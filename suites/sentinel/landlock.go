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

// The edits that leave a part of the attacker's Landlock ruleset out. They are the attacker's to
// carry out, since no spec knows of Landlock.
const (
	NoScope    = "a Landlock ruleset without scopes"
	NoTCPRules = "a Landlock ruleset without TCP"
)

// shared are the edits of a container in the host's namespaces of these types, so that they hide
// nothing that Landlock is to refuse. Of the mounts that a user namespace without a namespace of
// the type may not make, /proc is the host's, as runtimes need one, and /sys goes. It is bound
// private: some runtimes would mask the host's own through a shared one.
func shared(types ...specs.LinuxNamespaceType) spec.Edits {
	var edits spec.Edits
	for _, t := range types {
		edits = append(edits, spec.WithoutNamespace(t))
		switch t {
		case specs.PIDNamespace:
			edits = append(edits, spec.WithMount(spec.Bind("/proc", "/proc", "nosuid", "nodev", "rprivate")))
		case specs.NetworkNamespace:
			edits = append(edits, spec.WithoutMount("/sys"))
		}
	}
	return edits
}

// unwalled tells the attacker to leave a part out: by the edit, or since its rung has no Landlock.
func (s *Stage) unwalled(edit string) string {
	if s.Has(edit) || !s.Rung.Covers(spec.Hardened) {
		return attack.Unwalled
	}
	return ""
}

// ScopeKept is a host process of the attacker's own kernel uid, and a listener on an abstract
// socket of the host, for an attacker in the host's pid and network namespaces.
func ScopeKept(s *Stage) (*Watch, error) {
	options := ProcessOptions{}
	if s.Rung == spec.Hardened && !s.Has(spec.WithoutNamespace(specs.UserNamespace).Name) {
		options.UID = s.Root
	}
	p, err := s.ProcessWith(options)
	if err != nil {
		return nil, err
	}
	w, err := AbstractListener(s)
	if err != nil {
		return nil, err
	}
	listener := w.Look
	w.Edits = shared(specs.PIDNamespace, specs.NetworkNamespace)
	w.Target.PID, w.Target.Extra = p.PID(), s.unwalled(NoScope)
	w.Look = func(ctx context.Context, a *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "landlock_restrict_self", "kill"); err != nil {
			return Finding{}, err
		}
		signals, err := p.Signals()
		if err != nil {
			return Finding{}, err
		}
		f, err := listener(ctx, a, r)
		f.Evidence = fmt.Sprintf("the sentinel process counted %d signals; %s", signals, f.Evidence)
		return f.of(part{"a signal", signals > 0}, part{"a connection", f.Breached}), err
	}
	return w, nil
}

// TCPKept is a listener on the host's loopback, the target's Port, and a port that is free there,
// Key, for an attacker in the host's network namespace.
func TCPKept(s *Stage) (*Watch, error) {
	loopback := [4]byte{127, 0, 0, 1}
	listener, port, err := s.listenTCP(&unix.SockaddrInet4{Addr: loopback}, 8, false)
	if err != nil {
		return nil, err
	}
	free, err := freePort()
	if err != nil {
		return nil, err
	}
	var bound error
	held := false
	return &Watch{
		Edits:  shared(specs.NetworkNamespace),
		Target: attack.Target{Port: port, Key: free, Extra: s.unwalled(NoTCPRules)},
		Hold: func(context.Context, string, *Subject) error {
			held, bound = true, bindLoopback(free)
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "landlock_restrict_self", "connect", "bind"); err != nil {
				return Finding{}, err
			}
			if !held {
				return Finding{}, errors.New("the attacker did not hold")
			}
			if bound != nil && !errors.Is(bound, unix.EADDRINUSE) {
				return Finding{}, bound
			}
			accepted, _, err := acceptAll(listener)
			f := Finding{Evidence: fmt.Sprintf("the host's listener accepted %d connections; the port is still free: %v", accepted, bound == nil)}
			return f.of(part{"connect", accepted > 0}, part{"bind", bound != nil}), err
		},
	}, nil
}

// freePort is a port that nothing on the host's loopback has. Its own socket has let it go.
func freePort() (port int, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return sockPort(name), nil
}

// bindLoopback binds a port of the host's loopback and gives it back.
func bindLoopback(port int) error {
	return bindOnce(&unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

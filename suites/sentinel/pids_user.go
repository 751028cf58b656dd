package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// ownUser has the container's program run as a kernel uid of this trial alone, with or without a
// user namespace: what it uses up of that uid's is nobody else's.
func (s *Stage) ownUser() spec.Edits {
	return spec.Edits{spec.Change("a user of its own", func(sp *specs.Spec) {
		uid := s.UID
		if spec.HasNamespace(sp, specs.UserNamespace) {
			uid = s.Mapped - s.Root
		}
		sp.Process.User = specs.User{UID: uid, GID: uid}
	})}
}

// userBait is the RLIMIT_NPROC of both users, userBound how many processes the attack makes.
const (
	userBait  = 40
	userBound = 64
)

// UserNotFull runs a neighbour with the attacker's own kernel uid, outside of the container's
// user namespace, and lets it fork while the attacker has used up its RLIMIT_NPROC.
func UserNotFull(s *Stage) (*Watch, error) {
	facts, err := kernel.Facts()
	if err != nil {
		return nil, err
	}
	var said string
	nested := false
	w := &Watch{
		Edits:  s.limited(func(sp *specs.Spec) { spec.WithRlimit("RLIMIT_NPROC", userBait).Apply(sp) }),
		Fence:  s.ownUser(),
		Target: attack.Target{Count: userBound},
	}
	w.Hold = func(_ context.Context, _ string, a *Subject) error {
		uid, err := a.uid()
		if err != nil {
			return err
		}
		own, err1 := os.Readlink("/proc/self/ns/user")
		its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", a.PID))
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("compare user namespaces: %w", err)
		}
		nested = own != its
		n, err := s.neighbour(attack.ForkOnce, attack.Target{UID: uid, Count: userBait}, nil)
		if err != nil {
			return err
		}
		said, err = n.hears()
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f, err := userFull(said, nested, facts.Version)
		if f.Breached || err != nil {
			return f, err
		}
		return f, MustTry(r, "fork")
	}
	return w, nil
}

// userFull is what a neighbour's fork says, by whether the attacker is in another user namespace. Only a kernel
// that does not count by user namespaces yet is excused; nothing but its release tells.
func userFull(said string, nested bool, release kernel.Version) (Finding, error) {
	f := Finding{Evidence: fmt.Sprintf("a fork of a neighbour with the same kernel uid gave %q", said)}
	since := kernel.Version{Major: 5, Minor: 14}
	switch {
	case said == "EAGAIN" && nested && release.Less(since):
		return f, kernel.Unsupported("RLIMIT_NPROC of each user namespace: Linux %s counts a user's processes in all of them together (before %s)", release, since)
	case said == "EAGAIN":
		f.Breached = true
	case said != "ok":
		return f, fmt.Errorf("the neighbour could not fork: %s", said)
	}
	return f, nil
}

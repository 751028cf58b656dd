package sentinel

import (
	"context"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

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
	var said string
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
		n, err := s.neighbour(attack.ForkOnce, attack.Target{UID: uid, Count: userBait}, nil)
		if err != nil {
			return err
		}
		said, err = n.hears()
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{
			Breached: said == "EAGAIN",
			Evidence: fmt.Sprintf("a fork of a neighbour with the same kernel uid gave %q", said),
		}
		if !f.Breached && said != "ok" {
			return f, fmt.Errorf("the neighbour could not fork: %s", said)
		}
		return f, MustTry(r, "fork")
	}
	return w, nil
}

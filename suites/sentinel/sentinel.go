// Package sentinel is the host's side of a guarantee: baits for attacks, and witnesses that see
// from outside what became of them.
//
// A witness never believes the attacker; it looks for itself. It makes no verdict: package
// judge does.
package sentinel

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/probes"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// Witness lays a bait on a stage and returns the watch over it.
type Witness func(*Stage) (*Watch, error)

// Stage is where one trial happens. Everything that a witness makes on it is undone by Undo.
type Stage struct {
	// Dir is a directory of the trial's own on the host, mode 0755 down from the root
	// directory, so that a user namespace's root can reach what is shown to it.
	Dir string
	// Lease is the run's directory below /run, where Dir may not lie.
	Lease string
	// Rootfs is the container's root directory on the host. It is the trial's own.
	Rootfs string
	// Copied is whether the runtime runs a copy of Rootfs, as engines do that know images alone.
	Copied bool
	// Sandboxed is whether the container's processes are none of the host's: Subject.PID is that of the sandbox.
	Sandboxed bool
	// Rung is that of the container's spec.
	Rung spec.Rung
	// Binary is the attacker's file, which every uid can execute.
	Binary string
	// Nonce is a secret of this trial: an attacker that returns it has read it.
	Nonce string
	// Name starts with cellwall- and is unique: for host objects that have a name.
	Name string
	// UID is a host uid (and gid) that no other trial uses and the container is not mapped to.
	UID uint32
	// Root is the host uid (and gid) of a container's root at a rung with a user namespace.
	Root uint32
	// Mapped is as UID is, but such a container's user namespace has an id for it.
	Mapped uint32
	// Fence is the cgroup that bounds all containers of the run.
	Fence *cgroup.Group
	// Edits are the names of the row's own edits in this trial: those of Both and the control.
	Edits []string
	// Launch runs one more container of this trial, from creation to deletion: by the same
	// runtime, of the same spec with the same edits, under a name and a watch of its own. It is
	// not there before the first container is.
	Launch func(ctx context.Context, id string, w *Watch) (Finding, error)
	// Probe is the run's probe of a name, for a row that names it, or why there is none.
	Probe func(name string) (*probes.Probe, error)
	Undo  cleanup.Stack
}

// Watch is what a witness looks at, and when. Moments that are nil are passed over.
type Watch struct {
	// Edits change the spec for the bait itself: a volume, a path. The control has them too.
	Edits spec.Edits
	// Fence is applied after all other edits, so that no control reaches beyond the bait: it
	// replaces the host by a sacrificial stand-in.
	Fence spec.Edits
	// From is a mount namespace file that stands in for the host's.
	From string
	// Prepare is called on the thread that launches the container: what it takes is what a
	// container must not inherit of its launcher.
	Prepare func() error
	// Parent is the cgroup below which the container's is made, in place of the run's fence: a
	// group of the trial's own below the fence.
	Parent *cgroup.Group
	// Target is told to the attacker.
	Target attack.Target

	// Created is called when the container has been made and its program has not started, with the
	// pid of its init: for what is to be seen even if the attacker never speaks.
	Created func(ctx context.Context, init int) error
	// Ready is called when the attacker has been found and waits.
	Ready func(context.Context, *Subject) error
	// Hold is called when the attacker waits at a named point of the attack. An attack that never
	// comes to one has not been made, but for those that Refusable says.
	Hold func(ctx context.Context, name string, s *Subject) error
	// Refusable attacks end before their hold where they are refused; their Look asks what they
	// have tried.
	Refusable bool
	// Look is called after the attacker's end, before the container is deleted.
	Look func(context.Context, *Subject, attack.Record) (Finding, error)
	// Killed is called in place of Look when the attacker has ended without a record: for an
	// attack that kills it. Where it is nil silence is no result.
	Killed func(context.Context, *Subject) (Finding, error)
	// Silent is called in place of Look when the attacker has ended without a word. Where it is nil
	// silence is no result.
	Silent func() (Finding, error)
	// Gone is called after the container was deleted.
	Gone func(context.Context) (Finding, error)
	// Refused is called when the runtime refuses to create or start the container. Where it is
	// nil a refusal is no result.
	Refused func(context.Context, error) (Finding, error)
}

// Subject is the attacker as the host sees it.
type Subject struct {
	PID   int           // in the host's pid namespace
	Group *cgroup.Group // a view of its cgroup; reads only
}

// original returns an error where the container's root directory is a copy: what the container changes there
// is nowhere that a witness looks, and what a witness changes it does not see.
func (s *Stage) original() error {
	if s.Copied {
		return kernel.Unsupported("the container's root directory is a copy of the one that is looked at")
	}
	return nil
}

// Has reports whether an edit of that name is among the row's own in this trial. One that no spec
// can express is for the witness to carry out: a runtime that leaves something, for instance.
func (s *Stage) Has(edit string) bool { return slices.Contains(s.Edits, edit) }

// Finding is what a witness has seen.
type Finding struct {
	Breached bool
	Evidence string // one sentence with the numbers it rests on
	// Intact names what a breach has left whole of all that the claim names. A control that leaves
	// anything has not shown that every part of the attack can succeed.
	Intact []string
}

// part is one of the things that a claim names, or one of the ways to it.
type part struct {
	name   string
	broken bool
}

// of completes a finding by its parts: any that is broken is a breach.
func (f Finding) of(parts ...part) Finding {
	for _, p := range parts {
		if p.broken {
			f.Breached = true
		} else {
			f.Intact = append(f.Intact, p.name)
		}
	}
	return f
}

// Tried reports whether the attacker came to a call whose text begins so: a wall that was not
// run against has not held.
func Tried(r attack.Record, prefix string) bool {
	return slices.ContainsFunc(r.Tries, func(t attack.Try) bool { return strings.HasPrefix(t.Call, prefix) })
}

// MustTry returns an error unless the attacker tried every one of the calls.
func MustTry(r attack.Record, prefixes ...string) error {
	for _, p := range prefixes {
		if !Tried(r, p) {
			return fmt.Errorf("the attacker did not get to %s", p)
		}
	}
	return nil
}

// answer is what a call of that text was answered with, and whether it was made.
func answer(r attack.Record, call string) (unix.Errno, bool) {
	for _, t := range r.Tries {
		if t.Call == call {
			return unix.Errno(t.Errno), true
		}
	}
	return 0, false
}

// succeeded reports whether a call of that text was answered without an error.
func succeeded(r attack.Record, call string) bool {
	errno, made := answer(r, call)
	return made && errno == 0
}

// Seen is an error that ends a trial early, without the attacker's go, since what was seen
// already decides: for an attack that would act on the host itself.
type Seen struct{ Finding }

func (s *Seen) Error() string { return s.Evidence }

// Token returns a fresh random text for nonces and names.
func Token() string { return rand.Text() }

package judge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/claim"
	"cellwall/suites/guarantee"
	"cellwall/suites/sentinel"
)

// trial is one run of an attack: on the spec of a rung, with the edits that a control and its counterpart
// have in common (both), and with a control's own.
type trial struct {
	guarantee *guarantee.Guarantee
	rung      spec.Rung
	both      spec.Edits
	edit      *spec.Edit
}

// control is the control's edit, if it is one.
func (t *trial) control() spec.Edits {
	if t.edit == nil {
		return nil
	}
	return spec.Edits{*t.edit}
}

func names(lists ...spec.Edits) []string {
	var names []string
	for _, e := range slices.Concat(lists...) {
		names = append(names, e.Name)
	}
	return names
}

// trialTimeout bounds one trial: ten times what the longest takes.
const trialTimeout = 30 * time.Second

// machineTimeout bounds one for which a machine boots, by translation perhaps.
const machineTimeout = 2 * time.Minute

func timeoutOf(rt driver.Runtime) time.Duration {
	if driver.Machines(rt) {
		return machineTimeout
	}
	return trialTimeout
}

// lifecycle is the group of rows about what a runtime leaves behind. To them a cleanup.Left is the
// breach; elsewhere it makes the trial unclear.
const lifecycle = "lifecycle"

// inexpressible is a runtime's word that it cannot make a container.
type inexpressible struct{ error }

func (e *inexpressible) Unwrap() error { return e.error }

// trial runs one attack and says what the witness saw. A control of which the runtime says only now,
// with the bait in it, that it cannot make it runs on the core.
func (j *Judge) trial(outer context.Context, rt driver.Runtime, t trial) record.Trial {
	ctx, cancel := context.WithTimeout(outer, timeoutOf(rt))
	defer cancel()
	r := record.Trial{On: rt.Name(), Rung: string(t.rung)}
	if t.edit != nil {
		r.Edit = t.edit.Name
	}
	finding, said, err := j.run(ctx, rt, t)
	if no := (*inexpressible)(nil); t.edit != nil && rt != j.Core && errors.As(err, &no) {
		t.rung = base(j.Core, t.guarantee)
		return j.trial(outer, j.Core, t)
	}
	j.note(&r, t.guarantee, said)
	t.conclude(&r, finding, err)
	return r
}

// conclude gives a trial its outcome by what the witness found and what went wrong.
func (t *trial) conclude(r *record.Trial, finding sentinel.Finding, err error) {
	var left *cleanup.Left
	switch {
	case finding.Breached && t.edit != nil && len(finding.Intact) > 0:
		r.Outcome, r.Evidence = record.Inconclusive, finding.Evidence
		r.Reason = "it broke only a part of what the row claims, and left: " + strings.Join(finding.Intact, ", ")
		if err != nil {
			r.Reason += "; " + err.Error()
		}
	case finding.Breached: // before everything that went wrong as well
		r.Outcome, r.Evidence = record.Breached, finding.Evidence
		r.DeniedBy, r.Errno = "", ""
		if err != nil {
			r.Reason = err.Error()
		}
	case t.guarantee.Group() == lifecycle && errors.As(err, &left):
		r.Outcome, r.Evidence, r.Reason = record.Breached, left.Error(), err.Error()
	case errors.Is(err, kernel.ErrNotSupported):
		r.Outcome, r.Reason = record.Unsupported, err.Error()
	case err != nil:
		r.Outcome, r.Reason = record.Inconclusive, err.Error()
	default:
		r.Outcome, r.Evidence = record.Held, finding.Evidence
	}
}

// note keeps what the attacker said. It decides nothing.
func (j *Judge) note(r *record.Trial, g *guarantee.Guarantee, said *attack.Record) {
	if said == nil {
		return
	}
	for _, try := range said.Tries {
		t := record.Try{Call: try.Call}
		if errno := unix.Errno(try.Errno); errno != 0 {
			t.Errno = unix.ErrnoName(errno)
			if r.Errno == "" {
				r.Errno, r.DeniedBy = t.Errno, denied(g, errno, said.Filtered)
			}
		}
		r.Tries = append(r.Tries, t)
	}
}

// run sets the stage, runs the attacker on it, and returns what the witness found. The record is
// nil if the attacker made none.
func (j *Judge) run(ctx context.Context, rt driver.Runtime, t trial) (finding sentinel.Finding, said *attack.Record, err error) {
	stage, root, err := j.stage(rt, t)
	if err != nil {
		return finding, nil, err
	}
	defer func() { err = errors.Join(err, stage.Undo.Close()) }()
	watch, err := t.guarantee.Witness(stage)
	if err != nil {
		return finding, nil, fmt.Errorf("set the sentinel: %w", err)
	}
	stage.Launch = func(ctx context.Context, id string, w *sentinel.Watch) (sentinel.Finding, error) {
		finding, _, err := j.live(ctx, rt, life{trial: t, stage: stage, root: root, id: id, watch: w, again: true})
		return finding, err
	}
	return j.live(ctx, rt, life{trial: t, stage: stage, root: root, id: stage.Name, watch: watch})
}

// life is one container of a trial.
type life struct {
	trial
	stage *sentinel.Stage
	root  *rootfs.Root
	id    string
	watch *sentinel.Watch
	again bool // another of the trial has begun before
}

// live takes a container from creation to deletion.
func (j *Judge) live(ctx context.Context, rt driver.Runtime, l life) (finding sentinel.Finding, said *attack.Record, err error) {
	watch := l.watch
	bundle, token, err := j.bundle(rt, l)
	if err != nil {
		return finding, nil, err
	}
	if err := rt.Expresses(bundle); errors.Is(err, kernel.ErrNotSupported) {
		return finding, nil, &inexpressible{err}
	} else if err != nil {
		return finding, nil, err
	}
	s := session{runtime: rt, watch: watch, bundle: bundle, token: token, foreign: rt != j.Core}
	defer func() { err = errors.Join(err, s.close()) }()
	var seen *sentinel.Seen
	if err := s.start(ctx); err != nil {
		if errors.As(err, &seen) {
			return seen.Finding, &attack.Record{}, nil
		}
		err = l.neverBegan(bundle.Spec, err)
		// One that leaves something behind has done more than refuse, unless a row of its own says so.
		if left := (*cleanup.Left)(nil); watch.Refused == nil || errors.Is(err, kernel.ErrNotSupported) || errors.As(err, &left) && !j.leaves(rt, l) {
			return finding, nil, err
		}
		finding, err = watch.Refused(ctx, err)
		return finding, &attack.Record{}, err
	}
	said, err = s.converse(ctx)
	if s.subject == nil && errors.Is(err, errSilent) {
		err = l.neverBegan(bundle.Spec, err)
	}
	switch {
	case errors.As(err, &seen):
		return seen.Finding, &attack.Record{}, nil
	case watch.Killed != nil && s.subject != nil && errors.Is(err, errSilent):
		said = &attack.Record{}
		if finding, err = watch.Killed(ctx, s.subject); err != nil {
			return finding, said, fmt.Errorf("look after the attacker's death: %w", err)
		}
	case watch.Silent != nil && s.subject == nil && errors.Is(err, errSilent) && !errors.Is(err, kernel.ErrNotSupported):
		said = &attack.Record{}
		if finding, err = watch.Silent(); err != nil {
			return finding, said, err
		}
	case err != nil:
		return finding, said, err
	case watch.Look != nil:
		if finding, err = watch.Look(ctx, s.subject, *said); err != nil {
			return finding, said, fmt.Errorf("look: %w", err)
		}
	}
	if err := s.end(ctx); err != nil {
		return finding, said, err
	}
	if watch.Gone != nil && !finding.Breached {
		if finding, err = watch.Gone(ctx); err != nil {
			return finding, said, fmt.Errorf("look after deletion: %w", err)
		}
	}
	return finding, said, nil
}

// failedCreate is the row about what a failed creation leaves.
const failedCreate = "lifecycle.failed-create-clean"

// leaves reports whether a runtime is known to leave something where a creation fails, and the trial is about
// something else.
func (j *Judge) leaves(rt driver.Runtime, l life) bool {
	if rt != j.Runtime || l.guarantee.ID == failedCreate {
		return false
	}
	e := claim.Of(rt, j.Version, failedCreate, l.rung)
	return e != nil && e.Known
}

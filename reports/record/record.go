// Package record is the schema of everything that cellwall writes down: one JSON object a
// line, the schema's name in its first field, raw samples and never means.
//
// It knows no container and no terminal. Text that came out of a container stays as it came,
// only length-limited; whoever shows it escapes it.
package record

import (
	"slices"
	"time"
)

// Schema is written into every record. A reader accepts it and every older one it knows.
const Schema = "cellwall/1"

// Kind says which record a line holds.
type Kind string

// Kinds of records.
const (
	KindRun     Kind = "run"
	KindVerdict Kind = "verdict"
)

// Outcome is what one verdict says.
type Outcome string

// Outcomes of a verdict.
const (
	Held         Outcome = "held"         // the witness saw no breach, and the control proved that it would have
	Breached     Outcome = "breached"     // the witness saw the breach
	Unsupported  Outcome = "unsupported"  // kernel or runtime lacks it; the reason is named
	Inconclusive Outcome = "inconclusive" // we could not tell
	Unproven     Outcome = "unproven"     // the attack did nothing, and no control was run: the runtime does not claim the row
)

// Outcomes lists every outcome in the order in which tables show them.
func Outcomes() []Outcome {
	return []Outcome{Held, Breached, Unsupported, Inconclusive, Unproven}
}

// Known reports whether o is one of Outcomes.
func (o Outcome) Known() bool { return slices.Contains(Outcomes(), o) }

// Rungs lists the rungs of the ladder from the bottom up. The last is not made by the core.
func Rungs() []string {
	return []string{"bare", "chroot", "namespaces", "limits", "hardened", "sandbox"}
}

// Header is the start of every record.
type Header struct {
	Schema string `json:"schema"`
	Kind   Kind   `json:"kind"`
}

// Run describes the host and what was asked of it. It precedes the verdicts of its run.
type Run struct {
	Header
	ID           string    `json:"id"`
	Time         time.Time `json:"time"`
	Version      string    `json:"version"` // of cellwall
	Commit       string    `json:"commit,omitempty"`
	Kernel       string    `json:"kernel"`
	Machine      string    `json:"machine"` // uname -m
	CPUs         int       `json:"cpus"`
	MemoryBytes  uint64    `json:"memory_bytes"`
	BootID       string    `json:"boot_id"`
	CgroupMode   string    `json:"cgroup_mode"` // v1, v2 or hybrid
	Controllers  []string  `json:"controllers"`
	Lockdown     string    `json:"lockdown,omitempty"`
	Runtimes     []Runtime `json:"runtimes"`
	Absent       []string  `json:"absent,omitempty"`    // runtimes that were asked for and are not on the host
	Idle         []string  `json:"idle,omitempty"`      // runtimes that start no container on the host, with the reason: "docker: does not start ..."
	Unasked      []string  `json:"unasked,omitempty"`   // runtimes for which the selection has no row: "chroot at chroot"
	Selection    []string  `json:"selection,omitempty"` // the globs of --only
	CatalogueLen int       `json:"catalogue"`           // rows in the catalogue of this version
	Asked        int       `json:"asked,omitempty"`     // verdicts that the run was to give; one that was stopped has fewer
	Benching     *Benching `json:"benching,omitempty"`  // of a run of benchmarks, which has samples and no verdicts
}

// Runtime is one runtime of a run.
type Runtime struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Path    string   `json:"path,omitempty"`
	Lacks   []string `json:"lacks,omitempty"` // what every spec gives up for it; each completes "with ...": "the host's time namespace"
}

// Trial is one run of an attack: the control, the same attack with the barrier alone, or the
// attack on the real spec.
type Trial struct {
	Edit     string  `json:"edit,omitempty"` // what was removed, in a control
	On       string  `json:"on"`             // the runtime that ran it
	Rung     string  `json:"rung"`
	Outcome  Outcome `json:"outcome"`
	DeniedBy string  `json:"denied_by,omitempty"`
	Errno    string  `json:"errno,omitempty"` // symbolic: "ESRCH"
	Evidence string  `json:"evidence,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	Tries    []Try   `json:"tries,omitempty"`
	Dropped  int     `json:"tries_dropped,omitempty"` // tries beyond MaxTries, which Writer left out
}

// Try is one attempt as the attacker reports it. A verdict never rests on it alone.
type Try struct {
	Call  string `json:"call"`
	Errno string `json:"errno,omitempty"` // empty: the call succeeded
}

// Exception is what a runtime's table of claims says of a row.
type Exception struct {
	Known  bool   `json:"known,omitempty"` // claimed, and known to fail; else not claimed
	Reason string `json:"reason"`
	Source string `json:"source,omitempty"`
	Advice string `json:"advice,omitempty"` // what a user can do about it
}

// Verdict is the answer for one guarantee on one runtime at one rung.
type Verdict struct {
	Header
	Run            string        `json:"run"`
	Guarantee      string        `json:"guarantee"`
	Group          string        `json:"group"`
	Claim          string        `json:"claim"`
	Runtime        string        `json:"runtime"`
	RuntimeVersion string        `json:"runtime_version"`
	Rung           string        `json:"rung"`
	Claimed        bool          `json:"claimed"`
	Exception      *Exception    `json:"exception,omitempty"`
	Outcome        Outcome       `json:"outcome"`
	DeniedBy       string        `json:"denied_by,omitempty"`
	Errno          string        `json:"errno,omitempty"`
	Evidence       string        `json:"evidence,omitempty"`
	Reason         string        `json:"reason,omitempty"`
	Retried        string        `json:"retried,omitempty"` // why a first attempt was inconclusive, where there was a second
	KeptBy         string        `json:"kept_by,omitempty"` // who keeps the guarantee, where it is not the runtime: "kernel", "harness"
	Tries          []Try         `json:"tries,omitempty"`
	Dropped        int           `json:"tries_dropped,omitempty"` // tries beyond MaxTries, which Writer left out
	Control        *Trial        `json:"control,omitempty"`       // the first control that did not breach, else the first
	Controls       []Trial       `json:"controls,omitempty"`      // all, where there is more than one
	Alone          *Trial        `json:"alone,omitempty"`         // the barrier alone: one edit away from the control
	Leaks          []string      `json:"leaks,omitempty"`
	Again          string        `json:"again,omitempty"` // the command that shows it again
	Duration       time.Duration `json:"duration_ns"`
}

// Known reports whether the verdict is a failure that the runtime's claims name.
func (v *Verdict) Known() bool {
	return v.Outcome == Breached && v.Exception != nil && v.Exception.Known
}

// Proven reports whether every control of the verdict breached and the barrier held alone, unless
// the runtime cannot set it alone and another one ran the control. ControlElsewhere says where they ran.
func (v *Verdict) Proven() bool {
	if v.Control == nil || v.Control.Outcome != Breached {
		return false
	}
	for i := range v.Controls {
		if v.Controls[i].Outcome != Breached {
			return false
		}
	}
	return v.Alone == nil && v.Control.On != v.Runtime || v.Alone != nil && v.Alone.Outcome == Held
}

// ControlElsewhere reports whether a control ran on another runtime, which is the core: what it breached
// shows that the attack works where the barrier is missing, but not that it works on this runtime.
func (v *Verdict) ControlElsewhere() bool {
	elsewhere := func(t Trial) bool { return t.On != v.Runtime }
	return v.Control != nil && elsewhere(*v.Control) || slices.ContainsFunc(v.Controls, elsewhere)
}

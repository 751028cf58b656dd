// Package claim is what each runtime promises: which rows of the catalogue it does not claim, and
// which it claims and is known to break, as data with reasons and sources.
//
// It runs nothing. A runtime that is not listed claims everything that its rung has.
package claim

import (
	"slices"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// Exception is a set of rows about which a runtime's word differs from the catalogue's.
type Exception struct {
	Rows []string // globs of ids, of path.Match
	// Lack is the name of the edit of driver.Runtime.Lacks without which the exception is none.
	// Empty is always.
	Lack string
	// Fixed are the versions since which it is none, the first of each branch that got them: see
	// driver.Older. Empty is never.
	Fixed []string
	// From is the lowest rung at which it is one. Empty is all.
	From spec.Rung
	// Known is a failure: the runtime claims the row, and breaks it. The verdict must say so; if
	// it does not, the entry is stale, and that is an error, or the version has a fix that its
	// number does not tell, where Fixed names one.
	Known bool
	// Untried rows no trial can say anything of on this runtime: the witness would look at something else, or the
	// attack come to nothing, whatever the wall. They are unsupported.
	Untried bool
	// Evidence is part of a known failure's: another breach of the row is not known.
	Evidence string
	Reason   string // why, as one clause
	Source   string // where that is written or was decided
	Advice   string // what a user can do about it
}

// Of returns the exception that a row has on a runtime at a rung, or nil. Names that driver.Find knows have
// a table; for a template its own file speaks; others have none. What an engine's OCI runtime breaks is broken, but for
// what the engine keeps from it.
func Of(rt driver.Runtime, version, row string, rung spec.Rung) *Exception {
	if p := driver.PromiseOf(rt); p != nil {
		return promised(p, row)
	}
	if e := listed(rt, version, row, rung); e != nil {
		return e
	}
	if under, version := driver.Under(rt); under != nil && !guarantee.Match(guarded, row) {
		return listed(under, version, row, rung)
	}
	return nil
}

// listed is the exception of a runtime's own table.
func listed(rt driver.Runtime, version, row string, rung spec.Rung) *Exception {
	table := tables[driver.Kind(rt.Name())]
	for i := range table {
		e := &table[i]
		if guarantee.Match(e.Rows, row) && e.holds(rt.Lacks(), version) && (e.From == "" || rung.Covers(e.From)) {
			return e
		}
	}
	return nil
}

func (e *Exception) holds(lacks spec.Edits, version string) bool {
	lacking := slices.ContainsFunc(lacks, func(l spec.Edit) bool { return l.Name == e.Lack })
	return (e.Lack == "" || lacking) && (len(e.Fixed) == 0 || driver.Older(version, e.Fixed...))
}

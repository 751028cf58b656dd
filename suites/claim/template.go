package claim

import (
	"fmt"
	"slices"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// promised is what the file of a template takes from its claims.
func promised(p *driver.Promise, row string) *Exception {
	if i := slices.IndexFunc(p.Except, func(r driver.Rows) bool { return guarantee.Match([]string{r.Glob}, row) }); i >= 0 {
		return &Exception{Rows: []string{p.Except[i].Glob}, Reason: p.Except[i].Reason, Source: fmt.Sprintf("%s:%d", p.File, p.Except[i].Line)}
	}
	if !slices.ContainsFunc(p.Claims, func(r driver.Rows) bool { return guarantee.Match([]string{r.Glob}, row) }) {
		return &Exception{Rows: []string{row}, Reason: "its file does not claim it", Source: p.File}
	}
	return nil
}

// Check says which glob in the file of a runtime matches no row of the catalogue.
func Check(rt driver.Runtime) error {
	p := driver.PromiseOf(rt)
	if p == nil {
		return nil
	}
	for _, r := range slices.Concat(p.Claims, p.Except) {
		if !slices.ContainsFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return guarantee.Match([]string{r.Glob}, g.ID) }) {
			return fmt.Errorf("%s:%d: %q matches no row: cellwall list shows them all", p.File, r.Line, r.Glob)
		}
	}
	return nil
}

// DefaultRung is the rung at which a runtime is verified where the user names none: the highest that
// it is made for.
func DefaultRung(rt driver.Runtime) spec.Rung {
	if driver.PromiseOf(rt) != nil {
		return rt.Floor() // its file makes containers of one rung
	}
	if driver.Machines(rt) {
		return spec.Sandbox
	}
	switch driver.Kind(rt.Name()) {
	case "chroot":
		return spec.Chroot
	case "unshare":
		return spec.Namespaces
	}
	return spec.Hardened
}

package kernels

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Resolve pins an entry to the newest version that its mirrors have now. It reads the index anew.
func (c *Cache) Resolve(ctx context.Context, e Entry, tell Progress) (_ Entry, err error) {
	if e.Local() {
		return e, nil
	}
	unlock, err := c.lock(ctx, tell)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	a, err := c.apt(e)
	if err == nil {
		err = a.update(ctx, tell)
	}
	if err != nil {
		return e, fmt.Errorf("%s: %w", e.where(), err)
	}
	pin, err := a.newest(ctx)
	if err != nil {
		return e, fmt.Errorf("%s: %w", e.where(), err)
	}
	e.Pin = nil
	for _, s := range pin {
		e.Pin = append(e.Pin, s.Deb)
	}
	return e, nil
}

// maxParts is far more than any kernel is made of.
const maxParts = 16

// newest finds the packages that the newest version of the followed package is made of.
func (a *apt) newest(ctx context.Context) ([]stanza, error) {
	all, err := a.show(ctx, a.entry.Package)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, a.unknown(ctx)
	}
	first := slices.MaxFunc(all, byVersion)
	var parts []stanza
	for queue := []stanza{first}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if slices.ContainsFunc(parts, func(o stanza) bool { return o.Package == s.Package }) {
			continue
		}
		parts = append(parts, s)
		if len(parts) > maxParts {
			return nil, fmt.Errorf("%s is made of more than %d packages: that is no kernel", first.Deb, maxParts)
		}
		for _, choices := range s.parts() {
			part, err := a.choose(ctx, choices)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Deb, err)
			}
			queue = append(queue, part)
		}
	}
	// A meta-package leads to an image and holds nothing itself.
	if slices.ContainsFunc(parts[1:], func(s stanza) bool { return strings.HasPrefix(s.Package, "linux-image-") }) {
		parts = parts[1:]
	}
	return parts, nil
}

// choose takes the first of several packages that the index has.
func (a *apt) choose(ctx context.Context, choices []dependency) (stanza, error) {
	for _, d := range choices {
		all, err := a.show(ctx, d.name)
		if err != nil {
			return stanza{}, err
		}
		if d.version != "" {
			all = slices.DeleteFunc(all, func(s stanza) bool { return s.Version != d.version })
		}
		if len(all) > 0 {
			return slices.MaxFunc(all, byVersion), nil
		}
	}
	return stanza{}, fmt.Errorf("it needs %s %s, which the index does not have: the mirror is being updated, try again later", choices[0].name, choices[0].version)
}

func byVersion(a, b stanza) int { return compareVersions(a.Version, b.Version) }

// compareVersions asks dpkg, which is there where apt is, for its order: deb-version(7).
func compareVersions(a, b string) int {
	for order, relation := range map[int]string{-1: "lt", 1: "gt"} {
		if exec.Command("dpkg", "--compare-versions", a, relation, b).Run() == nil {
			return order
		}
	}
	return 0
}

// unknown says what there is instead of the followed package.
func (a *apt) unknown(ctx context.Context) error {
	names, err := a.names(ctx, "linux-image-")
	if err != nil {
		return err
	}
	// Those without a version follow the suite.
	names = slices.DeleteFunc(names, func(n string) bool {
		return !aPackage.MatchString(n) || strings.HasSuffix(n, "-dbg") || strings.HasSuffix(n, "-template") || strings.Contains(n, ".")
	})
	slices.Sort(names)
	if len(names) == 0 {
		return fmt.Errorf("suite %s has no package %s, nor any other kernel for %s", a.entry.Suite, a.entry.Package, a.entry.Arch)
	}
	return fmt.Errorf("suite %s has no package %s: it has %s", a.entry.Suite, a.entry.Package, strings.Join(names[:min(len(names), 8)], ", "))
}

// gone is a pinned package that the mirrors do not have. It names the nearest that they have: the
// oldest of those that are newer, or else the newest.
func (a *apt) gone(ctx context.Context, d Deb, same []stanza) error {
	for _, s := range same {
		if s.Version == d.Version {
			return fmt.Errorf("%s has the checksum %s on the mirror, and the pin says %s: one of them is wrong, and neither is taken", d, s.SHA256, d.SHA256)
		}
	}
	followed, err := a.show(ctx, a.entry.Package)
	if err != nil {
		return err
	}
	near, ok := nearest(append(same, followed...), d.Version)
	instead := "and nothing that is near"
	if ok {
		instead = fmt.Sprintf("the nearest is %s: pin it with `cellwall kernels fetch --repin %s`, or add a mirror that keeps old versions, such as https://snapshot.debian.org/archive/debian/DATE", near.Deb, a.entry.Name)
	}
	return fmt.Errorf("%s is not in suite %s of %s any more; %s", d, a.entry.Suite, strings.Join(a.entry.Mirrors, ", "), instead)
}

func nearest(all []stanza, version string) (stanza, bool) {
	if len(all) == 0 {
		return stanza{}, false
	}
	slices.SortFunc(all, byVersion)
	for _, s := range all {
		if compareVersions(s.Version, version) >= 0 {
			return s, true
		}
	}
	return all[len(all)-1], true
}

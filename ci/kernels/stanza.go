package kernels

import (
	"strconv"
	"strings"
)

// stanza is what we need of a package's paragraph in an index: deb-control(5).
type stanza struct {
	Deb
	depends string
	size    int64 // bytes of the .deb; 0: not told
}

// parseStanzas reads paragraphs as `apt-cache show` prints them. One that does not say what we need
// is left out: it cannot be fetched, and only that matters.
func parseStanzas(text string) []stanza {
	var list []stanza
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(paragraph) {
			// Continued lines begin with a blank; none of ours are.
			if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
				fields[key] = strings.TrimSpace(value)
			}
		}
		size, err := strconv.ParseInt(fields["Size"], 10, 64)
		if err != nil {
			size = 0
		}
		s := stanza{
			Deb:     Deb{Package: fields["Package"], Version: fields["Version"], SHA256: strings.ToLower(fields["SHA256"])},
			depends: fields["Depends"], size: size,
		}
		if aPackage.MatchString(s.Package) && aVersion.MatchString(s.Version) && aSum.MatchString(s.SHA256) {
			list = append(list, s)
		}
	}
	return list
}

// dependency is a package of which one of several is enough.
type dependency struct {
	name, version string // an empty version: any
}

var aDependency = matching(`^([a-z0-9][a-z0-9.+-]*)(?::[a-z]+)?(?:\s*\(\s*(=|<<|<=|>=|>>)\s*([^\s)]+)\s*\))?`)

// parts lists what a package says it is made of: the dependencies that may hold a piece of the
// kernel, each with its alternatives. Since 6.17 Debian has the image and the modules in packages
// of their own, linux-binary-RELEASE and linux-modules-RELEASE, below linux-image-RELEASE.
func (s stanza) parts() [][]dependency {
	var all [][]dependency
	for group := range strings.SplitSeq(s.depends, ",") {
		var choices []dependency
		for one := range strings.SplitSeq(group, "|") {
			m := aDependency().FindStringSubmatch(strings.TrimSpace(one))
			if m == nil || !aPackage.MatchString(m[1]) {
				continue
			}
			d := dependency{name: m[1]}
			if m[2] == "=" {
				d.version = m[3]
			}
			choices = append(choices, d)
		}
		if len(choices) > 0 {
			all = append(all, choices)
		}
	}
	return all
}

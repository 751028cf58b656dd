package driver

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Older reports whether a version lacks a fix that came with the given ones, the first of each branch
// that got it, oldest branch first: "1.3.1" is older than "1.2.8", "1.3.3". A version that says no
// number is not older, nor is any where no fix is named.
func Older(version string, fixed ...string) bool {
	v := numbers(version)
	if len(v) == 0 || len(fixed) == 0 || fixed[0] == "" {
		return false
	}
	for _, f := range fixed {
		n := numbers(f)
		sameBranch := len(v) > 1 && len(n) > 1 && slices.Equal(v[:2], n[:2])
		if sameBranch {
			return before(version, n)
		}
	}
	return before(version, numbers(fixed[len(fixed)-1]))
}

// before reports whether a version comes before a release, as a candidate for it does.
func before(version string, release []int) bool {
	order := slices.Compare(numbers(version), release)
	return order < 0 || order == 0 && candidate().MatchString(version)
}

// candidate matches "1.5.0-rc.2", and Debian's "1.5.0~rc2".
var candidate = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^v?\d+(\.\d+)*[-~]rc`) })

// numbers are the parts of a version before anything that is no number: "1.1.5+ds1" is 1, 1, 5.
func numbers(version string) []int {
	var list []int
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n, err := strconv.Atoi(part[:end])
		if err != nil {
			break
		}
		list = append(list, n)
		if end < len(part) {
			break
		}
	}
	return list
}

package kernel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// listMax bounds the numbers of a list, so that hostile text cannot make a huge one. The
// largest CONFIG_NR_CPUS is 8192.
const listMax = 1 << 16

// ParseList reads the list format of cpuset(7), "0-2,5\n", into ascending numbers without
// repetition. An empty text is an empty list.
func ParseList(text string) ([]int, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	seen := make(map[int]bool)
	for item := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		low, lowErr := strconv.ParseUint(from, 10, 32)
		high, highErr := strconv.ParseUint(to, 10, 32)
		if lowErr != nil || highErr != nil || low > high || high >= listMax {
			return nil, fmt.Errorf("parse list %q: no such range %s", text, item)
		}
		for n := low; n <= high; n++ {
			seen[int(n)] = true
		}
	}
	list := make([]int, 0, len(seen))
	for n := range seen {
		list = append(list, n)
	}
	slices.Sort(list)
	return list, nil
}

package judge

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// affordable says that a spec asks for no capability that this process has not: no control could
// be given it, so nothing would show that the attack works with it.
func affordable(s *specs.Spec, held []string) error {
	caps := s.Process.Capabilities
	if caps == nil {
		return nil
	}
	lacking := slices.DeleteFunc(slices.Concat(caps.Bounding, caps.Permitted), func(c string) bool { return slices.Contains(held, c) })
	if len(lacking) == 0 {
		return nil
	}
	slices.Sort(lacking)
	return kernel.Unsupported("this process lacks %s: it can give a container no more than it has", strings.Join(slices.Compact(lacking), ", "))
}

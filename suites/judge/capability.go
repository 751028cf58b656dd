package judge

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
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

// neverBegan is the error of a container that has not begun, with the kernel's reason where there is one. It is
// asked for afterwards: crun binds the host's sysfs where it is refused one, and gVisor has its own.
func (l *life) neverBegan(s *specs.Spec, err error) error {
	if no := mountable(s); no != nil && !l.again {
		return fmt.Errorf("%w: %w", no, err)
	}
	return err
}

// mountable says why no container of a user namespace can have a procfs or sysfs here. The kernel gives none
// where something hides a part of the host's, as the masks of an outer container do (mount_too_revealing).
func mountable(s *specs.Spec) error {
	if !spec.HasNamespace(s, specs.UserNamespace) {
		return nil
	}
	gates := map[string]*kernel.Feature{"proc": kernel.ProcInUserNamespace, "sysfs": kernel.SysfsInUserNamespace}
	for _, m := range s.Mounts {
		gate, ok := gates[m.Type]
		if !ok {
			continue
		}
		if err := gate.Check(); errors.Is(err, kernel.ErrNotSupported) {
			return fmt.Errorf("%w: %s", err, gate.Remedy)
		}
	}
	return nil
}

package sentinel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// SharesNamespaces is the edit of a runtime that puts a container into the namespaces of another one. The
// witness carries it out, since it alone knows both.
const SharesNamespaces = "a second container in namespaces of the first"

// NeighboursDiffer compares the namespaces of two containers that are there at the same time. The user
// namespace counts only where containers are said to have one; the time namespace does not, since
// nobody can change it for another.
func NeighboursDiffer(s *Stage) (*Watch, error) {
	want := slices.DeleteFunc(slices.Clone(NamespaceNames), func(n string) bool {
		return n == "time" || n == "user" && !s.Rung.Covers(spec.Hardened)
	})
	// What a spec can name by a file, but for the mount namespace, which would bring its root along, and the
	// pid namespace, in which the first's init would have to reap the second's.
	joined := map[string]specs.LinuxNamespaceType{
		"cgroup": specs.CgroupNamespace, "ipc": specs.IPCNamespace, "net": specs.NetworkNamespace, "uts": specs.UTSNamespace,
	}
	var shared []string
	compared := false
	return &Watch{
		Hold: func(ctx context.Context, _ string, a *Subject) error {
			second := &Watch{Ready: func(_ context.Context, b *Subject) error {
				for _, name := range want {
					one, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a.PID, name))
					if err != nil {
						return fmt.Errorf("read a namespace of the first container: %w", err)
					}
					other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", b.PID, name))
					if err != nil {
						return fmt.Errorf("read a namespace of the second container: %w", err)
					}
					if one == other {
						shared = append(shared, name)
					}
				}
				compared = true
				return nil
			}}
			if s.Has(SharesNamespaces) {
				for name, kind := range joined {
					second.Edits = append(second.Edits, spec.JoinNamespace(kind, fmt.Sprintf("/proc/%d/ns/%s", a.PID, name)))
				}
			}
			_, err := s.Launch(ctx, s.Name+"-second", second)
			return err
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) {
			if !compared {
				return Finding{}, errors.New("no second container was there to compare with")
			}
			f := Finding{
				Breached: len(shared) > 0,
				Evidence: fmt.Sprintf("of %d namespaces of two containers these are the same: [%s]", len(want), strings.Join(shared, ", ")),
			}
			for _, name := range slices.Sorted(maps.Keys(joined)) {
				if !slices.Contains(shared, name) {
					f.Intact = append(f.Intact, name)
				}
			}
			return f, nil
		},
	}, nil
}

package driver

import (
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// mappedUser is the host's user that the container's is mapped to. It keeps the groups of the
// launcher: bwrap itself drops none.
func mappedUser(s *specs.Spec) (*syscall.Credential, error) {
	uid, gid, err := hostIDs(s)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uid, Gid: gid, NoSetGroups: true}, nil
}

// hostIDs are the host's ids of the container's user. Tools that an unprivileged user runs map that
// one alone (user_namespaces(7)): of a longer mapping it is all that is there.
func hostIDs(s *specs.Spec) (uid, gid uint32, err error) {
	if !spec.HasNamespace(s, specs.UserNamespace) {
		return s.Process.User.UID, s.Process.User.GID, nil
	}
	for _, id := range []struct {
		mappings []specs.LinuxIDMapping
		inside   uint32
		outside  *uint32
	}{{s.Linux.UIDMappings, s.Process.User.UID, &uid}, {s.Linux.GIDMappings, s.Process.User.GID, &gid}} {
		if len(id.mappings) != 1 {
			return 0, 0, kernel.Unsupported("a user namespace with %d mappings: one id is mapped", len(id.mappings))
		}
		m := id.mappings[0]
		if id.inside < m.ContainerID || id.inside-m.ContainerID >= m.Size {
			return 0, 0, kernel.Unsupported("user %d is not in the user namespace's mapping", id.inside)
		}
		*id.outside = m.HostID + id.inside - m.ContainerID
	}
	return uid, gid, nil
}

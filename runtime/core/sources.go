package core

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// lookAtSources looks at the paths of the host that the container will show, in the mount namespace that it is made
// from. One that cannot be looked at is left to the plan, whose step then names the reason.
func (h *Host) lookAtSources(s *specs.Spec, from string) error {
	if s == nil || s.Root == nil {
		return nil // Validate says so
	}
	if from == "" {
		h.look(s)
		return nil
	}
	return kernel.OnThread(func() error {
		if err := kernel.EnterMounts(from); err != nil {
			return err
		}
		h.look(s)
		return nil
	})
}

func (h *Host) look(s *specs.Spec) {
	sources := []string{s.Root.Path}
	for _, c := range h.Cgroups {
		sources = append(sources, c.Path)
	}
	for _, m := range s.Mounts {
		if !isBind(m) {
			continue
		}
		sources = append(sources, m.Source)
		if info, err := os.Stat(m.Source); err == nil && !info.IsDir() {
			h.Files = append(h.Files, m.Source)
		}
	}
	if h.MountSetattr {
		return
	}
	h.MountFlags = map[string]uintptr{}
	for _, source := range sources {
		var st unix.Statfs_t
		if err := unix.Statfs(source, &st); err != nil {
			continue
		}
		// Most have the same values here and there.
		h.MountFlags[source] = uintptr(st.Flags) & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
		if st.Flags&stNoSymFollow != 0 {
			h.MountFlags[source] |= msNoSymFollow
		}
	}
}

// stNoSymFollow is ST_NOSYMFOLLOW of linux/statfs.h, which x/sys does not have.
const stNoSymFollow = 0x2000

package driver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
)

// v2Path is the path of a group in cgroup v2, empty where the host has none.
func v2Path(g *cgroup.Group) string {
	for _, h := range g.Hierarchies() {
		if h.V2 {
			return h.Below
		}
	}
	return ""
}

// placeable says whether nspawn's processes can stay where they are looked for. It moves the container to
// the group payload, and itself to supervisor, both below the group in which it is started, in cgroup v2 and
// in name=systemd (create_subcgroup in nspawn-cgroup.c): on a host without v2 in the latter alone, where no
// group of ours is. In the other hierarchies of v1 all stay where they were.
func (n *nspawn) placeable(b Bundle) error {
	if b.Parent == nil {
		return nil
	}
	switch {
	case v2Path(b.Parent) == "":
		return kernel.Unsupported("%s puts containers into a group of systemd's on a host without cgroup v2", nspawnName)
	case len(b.Parent.Hierarchies()) > 1 && !Older(n.version, v2Nspawn):
		return kernel.Unsupported("%s %s needs a host with cgroup v2 alone", nspawnName, n.version)
	}
	return nil
}

// forget removes the directories that nspawn keeps for a container, and leaves where it is killed.
func (n *nspawn) forget(machine string) error {
	var errs []error
	for _, below := range []string{"propagate", "unix-export", ""} {
		errs = append(errs, rootfs.Remove(filepath.Join(n.run, below, machine)))
	}
	return errors.Join(errs...)
}

// machineName is the container's id where that can be the name of a machine, hostname_is_valid in
// src/basic/hostname-util.c, or a name of our own. What all containers have together lies beside the machines, and
// forget must not take the one for the other.
func machineName(id string) string {
	shared := slices.Contains([]string{"propagate", "unix-export", "locks", "notify"}, id)
	if !shared && machineLabel().MatchString(id) {
		return id
	}
	return "tool-" + rand.Text()
}

// machineLabel matches names of one label, and no longer than HOST_NAME_MAX.
var machineLabel = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$`) })

// makeUsr makes what nspawn takes for the sign of a system: run in nspawn.c refuses a root directory without
// /usr. One that is there, or a link, stays.
func makeUsr(root string) error {
	r, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("make /usr: %w", err)
	}
	defer r.Close() //nolint:errcheck // a directory
	if err := r.Mkdir("usr", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make /usr: %w", err)
	}
	return nil
}

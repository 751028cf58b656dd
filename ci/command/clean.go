package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"cellwall/bench/interfere"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/core"
	"cellwall/runtime/driver"
	"cellwall/runtime/lease"
	"cellwall/runtime/rootfs"
)

func newClean() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "clean",
		Short: "find and remove what a killed run left",
		Long: "clean finds the cgroups, directories and containers of runs whose process is gone, kills what still runs in\n" +
			"them, and removes them. What belongs to a run that is alive stays. Without root it removes what this user's\n" +
			"cellwall run has left without root, and --dry-run lists what it may read of the rest, too.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			root := os.Geteuid() == 0
			var left, own []leftover
			var err error
			if root || dry {
				left, err = findLeft(c.Context(), lease.Default)
			}
			if !root && err == nil {
				without := "removed"
				if dry {
					without = "read"
				}
				fmt.Fprintf(c.ErrOrStderr(), "cellwall: without root not all can be %s: there may be more\n", without)
				own, err = leftOfUser()
			}
			if err != nil {
				return done(err)
			}
			left = append(left, own...)
			if len(left) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "nothing was left")
				return nil
			}
			var errs []error
			for _, l := range left {
				verb := "found"
				if !dry {
					verb = "removed"
					if err := l.remove(); err != nil {
						errs = append(errs, fmt.Errorf("%s: %w", l.path, err))
						continue
					}
				}
				fmt.Fprintf(c.OutOrStdout(), "%s %s %s\n", verb, l.what, l.path)
			}
			if !dry && root {
				errs = append(errs, restoreTree())
			}
			return done(errors.Join(errs...))
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only list what would be removed")
	return c
}

// sharedMemory is where baits of POSIX shared memory lie, and the directories of runs:
// shm_overview(7).
const sharedMemory = "/dev/shm"

// leftover is one thing that a killed run left.
type leftover struct {
	what, path string
	remove     func() error
}

// findLeft lists what was left, in the order in which it must go: what engines keep, cgroups with what runs in
// them, then what lies elsewhere, then the names of containers, and leases last.
func findLeft(ctx context.Context, parent string) ([]leftover, error) {
	left, err := leftInEngines(ctx, parent)
	if err != nil {
		return nil, err
	}
	groups, err := cgroup.FindLeft(cgroup.Prefix)
	if err != nil {
		return nil, err
	}
	for _, path := range groups {
		dead, err := isDead(parent, path)
		if err != nil {
			return nil, err
		}
		if dead {
			left = append(left, leftover{"cgroup", path, func() error { return cgroup.Remove(path) }})
		}
	}
	elsewhere := slices.Concat([]string{sharedMemory, lease.OnDisk}, interfere.DiskParents(), driver.StateDirs(sharedMemory, lease.OnDisk))
	for i, dir := range elsewhere {
		files, err := filepath.Glob(filepath.Join(dir, lease.Prefix+"*"))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		for _, path := range files {
			dead, err := isDead(parent, path)
			if err != nil {
				return nil, err
			}
			if dead {
				what := "shared memory"
				if i > 0 {
					what = "directory"
				}
				left = append(left, leftover{what, path, func() error { return rootfs.Remove(path) }})
			}
		}
	}
	below, err := leftBelow(parent)
	return append(left, below...), err
}

// leftInEngines lists what engines that run keep of runs that are gone.
func leftInEngines(ctx context.Context, parent string) ([]leftover, error) {
	kept, err := driver.LeftInEngines(ctx)
	if err != nil {
		return nil, err
	}
	var left []leftover
	for _, k := range kept {
		dead, err := isDead(parent, k.Name)
		if err != nil {
			return nil, err
		}
		if dead {
			left = append(left, leftover{k.What, k.Name, k.Remove})
		}
	}
	return left, nil
}

// leftBelow lists names of containers, and then leases.
func leftBelow(parent string) ([]leftover, error) {
	var left []leftover
	names, err := deadContainers(filepath.Join(parent, containersDir))
	if err != nil {
		return nil, err
	}
	for _, path := range names {
		left = append(left, leftover{"container", path, func() error { return rootfs.Remove(path) }})
	}
	leases, err := lease.Left(parent)
	if err != nil && !errors.Is(err, os.ErrPermission) {
		return nil, err
	}
	for _, name := range leases {
		path := filepath.Join(parent, name)
		left = append(left, leftover{"directory", path, func() error { return rootfs.Remove(path) }})
	}
	return left, nil
}

// leftOfUser lists what was left of cellwall run without root, which has nothing but its leases.
func leftOfUser() ([]leftover, error) {
	parent := ownLeases()
	if err := checkOwn(parent); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return leftBelow(parent)
}

// isDead reports whether a path is named after a lease whose holder is gone. A name that merely shares
// our prefix is not ours.
func isDead(parent, path string) (bool, error) {
	name := lease.Of(filepath.Base(path))
	if name == "" {
		return false, nil
	}
	alive, err := lease.Living(parent, name)
	if errors.Is(err, os.ErrPermission) {
		return false, nil // without root nobody can tell
	}
	return !alive, err
}

// deadContainers lists the entries of containers whose init is gone. One that cannot be read is
// left alone.
func deadContainers(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var dead []string
	for _, e := range entries {
		if _, err := core.Find(dir, e.Name()); errors.Is(err, os.ErrNotExist) {
			dead = append(dead, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(dead)
	return dead, nil
}

// restoreTree undoes what a killed run enabled in the group above its own.
func restoreTree() error {
	tree, err := cgroup.Find()
	if err != nil {
		return err
	}
	return tree.Close()
}

package driver

import "path/filepath"

// StateDirs are the directories in which runtimes keep something under the id of each container, and leave it where they
// are killed. bundles are the directories below which the bundles lie.
func StateDirs(bundles ...string) []string {
	dirs := []string{nspawnRun, filepath.Join(nspawnRun, "propagate"), filepath.Join(nspawnRun, "unix-export")}
	for _, dir := range bundles {
		dirs = append(dirs, filepath.Join(lxcLocks, dir))
	}
	return dirs
}

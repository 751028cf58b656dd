package sentinel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// others are the processes of the attacker's cgroup besides itself: its children, also those that
// have left it. Only the hierarchy that counts processes is asked, since in others the view may
// be of a group that is not the container's alone.
func (a *Subject) others() ([]int, error) {
	dir := a.Group.Path("pids")
	if dir == "" {
		return nil, errors.New("list the attacker's children: its cgroup has no pids controller")
	}
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")) //nolint:gosec // cgroupfs
	if err != nil {
		return nil, fmt.Errorf("list the attacker's children: %w", err)
	}
	var others []int
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			return nil, fmt.Errorf("list the attacker's children: %w", err)
		}
		if pid != a.PID {
			others = append(others, pid)
		}
	}
	if len(others) == len(strings.Fields(string(b))) {
		return nil, fmt.Errorf("list the attacker's children: it is not in %s", dir)
	}
	slices.Sort(others)
	return others, nil
}

// statusOf reads /proc/PID/status.
func statusOf(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", fmt.Errorf("look at a process of the container: %w", err)
	}
	return string(b), nil
}

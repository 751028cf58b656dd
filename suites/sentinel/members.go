package sentinel

import (
	"errors"
	"fmt"
	"slices"
)

// others are the processes of the attacker's cgroup besides itself: its children, also those that
// have left it. Only the hierarchy that counts processes is asked, since in others the view may
// be of a group that is not the container's alone.
func (a *Subject) others() ([]int, error) {
	dir := a.Group.Path("pids")
	if dir == "" {
		return nil, errors.New("list the attacker's children: its cgroup has no pids controller")
	}
	all, err := listed(dir)
	if err != nil {
		return nil, fmt.Errorf("list the attacker's children: %w", err)
	}
	others := slices.DeleteFunc(slices.Clone(all), func(pid int) bool { return pid == a.PID })
	if len(others) == len(all) {
		return nil, fmt.Errorf("list the attacker's children: it is not in %s", dir)
	}
	slices.Sort(others)
	return others, nil
}

package sentinel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// others are the processes of the attacker's cgroup besides itself and those that started it: its
// children, also those that have left it. Only the hierarchy that counts processes is asked, since in
// others the view may be of a group that is not the container's alone.
func (a *Subject) others() ([]int, error) {
	dir := a.Group.Path("pids")
	if dir == "" {
		return nil, errors.New("list the attacker's children: its cgroup has no pids controller")
	}
	all, err := listed(dir)
	if err != nil {
		return nil, fmt.Errorf("list the attacker's children: %w", err)
	}
	if !slices.Contains(all, a.PID) {
		return nil, fmt.Errorf("list the attacker's children: it is not in %s", dir)
	}
	others, err := a.withoutStarters(all)
	if err != nil {
		return nil, fmt.Errorf("list the attacker's children: %w", err)
	}
	others = slices.DeleteFunc(others, func(pid int) bool { return pid == a.PID })
	slices.Sort(others)
	return others, nil
}

// withoutStarters takes from a list what started the attacker: a runtime without a manager waits for
// it as its parent, in the same cgroup.
func (a *Subject) withoutStarters(pids []int) ([]int, error) {
	for pid := a.PID; ; {
		text, err := procStatus(fmt.Sprintf("/proc/%d", pid), "PPid:")
		if err != nil {
			return nil, err
		}
		parent, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("look for the parent of process %d: %w", pid, err)
		}
		if !slices.Contains(pids, parent) {
			return pids, nil
		}
		pids = slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return pid == parent })
		pid = parent
	}
}

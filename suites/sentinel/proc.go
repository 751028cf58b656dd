package sentinel

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// StatusField returns the value of a field of /proc/PID/status, "State:".
func StatusField(status, field string) string {
	for line := range strings.Lines(status) {
		if v, ok := strings.CutPrefix(line, field); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// statusOf reads /proc/PID/status.
func statusOf(pid int) (string, error) { return statusIn(fmt.Sprintf("/proc/%d", pid)) }

// statusIn reads the status file of a process's, or a thread's, directory in /proc.
func statusIn(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return "", fmt.Errorf("look at a process: %w", err)
	}
	return string(b), nil
}

// procStatus reads a field of the status file of a process's, or a thread's, directory in /proc.
func procStatus(dir, field string) (string, error) {
	text, err := statusIn(dir)
	return StatusField(text, field), err
}

// listed are the processes of one cgroup, by the path of its directory.
func listed(dir string) ([]int, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for line := range strings.FieldsSeq(string(b)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// families are the children of every process on the host, by its pid, zombies too.
func families() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for child processes: %w", err)
	}
	children := map[int][]int{}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		status, err := statusOf(child)
		if err != nil {
			continue // it has ended
		}
		if parent, err := strconv.Atoi(StatusField(status, "PPid:")); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	return children, nil
}

// startedBy returns the pids of the processes that a process has started, and they.
func startedBy(pid int) ([]int, error) {
	children, err := families()
	if err != nil {
		return nil, err
	}
	var all []int
	for queue := children[pid]; len(queue) > 0; {
		next := queue[0]
		queue = append(queue[1:], children[next]...)
		all = append(all, next)
	}
	return all, nil
}

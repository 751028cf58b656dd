package kernel

import (
	"fmt"
	"strings"
)

// StatField returns a field of /proc/PID/stat by its number in proc_pid_stat(5), 3 or higher. The
// second is a name in parentheses that the process chose, which may hold those and blanks too.
func StatField(stat string, number int) (string, error) {
	const third = 3
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || number < third || number-third >= len(fields) {
		return "", fmt.Errorf("parse /proc/PID/stat: no field %d in %.80q", number, stat)
	}
	return fields[number-third], nil
}

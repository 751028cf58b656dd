package interfere

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// highest is the most favourable nice value: setpriority(2).
const highest = -20

// raise gives all threads of this process the highest priority and returns what they had: the fence's share
// of the CPUs is so large that else nobody would get to say stop. New threads have that of those which make
// them; loads in containers go back to the usual one.
func raise() (restore func() error, err error) {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("read our priority: %w", err)
	}
	const offset = 20 // the system call tells 20 less the nice value
	return func() error { return renice(offset - before) }, renice(highest)
}

func renice(nice int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list our threads: %w", err)
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("list our threads: %w", err)
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && err != unix.ESRCH { //nolint:errorlint // a raw errno
			return fmt.Errorf("set our priority: %w", err)
		}
	}
	return nil
}

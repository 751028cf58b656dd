package bench

import (
	"fmt"
	"os"
	"strings"
)

// availableMemory is MemAvailable of /proc/meminfo in bytes: what the kernel could give without swapping.
func availableMemory() (uint64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read free memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var kib uint64
		if n, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 && err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read free memory: /proc/meminfo has no MemAvailable")
}

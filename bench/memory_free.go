package bench

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
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

// settledMemory is availableMemory once the kernel has freed what it frees later, such as namespaces: it
// rises no more, or goes on to for a second.
func settledMemory(ctx context.Context) (uint64, error) {
	const (
		tick  = 20 * time.Millisecond
		slack = 128 << 10 // bytes that it may rise in a pause
		most  = 50
	)
	last, err := availableMemory()
	for range most {
		if err != nil {
			return 0, err
		}
		if err := pause(ctx, tick); err != nil {
			return 0, err
		}
		var now uint64
		now, err = availableMemory()
		if now <= last+slack {
			return now, err
		}
		last = now
	}
	return last, err
}

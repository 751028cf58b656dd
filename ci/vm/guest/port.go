package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// portWait is how long the port may take to appear: the host names it in messages that the
// driver handles in its own time, after its module has been loaded.
const portWait = 20 * time.Second

// openPort opens the port of a name.
func openPort(classes, devices, name string, wait time.Duration) (*os.File, error) { //nolint:unparam // the host names it
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(wait)
	for {
		device, seen, err := findPort(classes, name)
		if err != nil {
			return nil, err
		}
		if device != "" {
			// Not with os.Open: the port is to be read and written by blocking calls.
			fd, err := unix.Open(filepath.Join(devices, device), unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
			if err == nil {
				return os.NewFile(uintptr(fd), device), nil
			}
			if !errors.Is(err, unix.ENOENT) { // the node may come after the name
				return nil, fmt.Errorf("open the port %s: %w", name, err)
			}
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("there is no port %s after %v, but %d others (%s): the kernel needs virtio_pci and virtio_console",
				name, wait, len(seen), strings.Join(seen, ", "))
		}
		<-tick.C
	}
}

// findPort returns the device of the port of a name, and the names of the others.
func findPort(classes, name string) (device string, seen []string, err error) {
	files, err := filepath.Glob(filepath.Join(classes, "*", "name"))
	if err != nil {
		return "", nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has none yet
		}
		got := strings.TrimSpace(string(text))
		if got == name {
			return filepath.Base(filepath.Dir(file)), nil, nil
		}
		seen = append(seen, got)
	}
	return "", seen, nil
}

// ackWait is how long the outside may take to have read everything. Without an answer the machine
// is switched off all the same.
const ackWait = 30 * time.Second

// awaitAck waits until the outside has got the last frame or is gone.
func (b *inbox) awaitAck(wait time.Duration) {
	select {
	case <-b.acked:
	case <-time.After(wait):
	}
}

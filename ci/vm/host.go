package vm

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
)

// Host boots guests. It finds out which accelerator works here and remembers that, so one Host
// should boot all guests of a process. The zero value is ready; a Host is safe for concurrent use
// and must not be copied.
type Host struct {
	// QEMU is the program, "" for the one of the guest's architecture in $PATH.
	QEMU string
	// Device is that of KVM, "" for /dev/kvm.
	Device string

	mu    sync.Mutex
	accel string // of which a guest has come up here, "" if none has without being told
}

// Run boots the guest, waits until it has ended, and leaves nothing behind, also when ctx ends or
// we are killed. It is a Host that remembers nothing.
func Run(ctx context.Context, g Guest) (Result, error) { return new(Host).Run(ctx, g) }

// Run boots the guest, waits until it has ended, and leaves nothing behind, also when ctx ends or
// we are killed. The error is a *BootError if the kernel failed.
//
// Under Accel "" KVM counts only if a guest has come up on it: that /dev/kvm can be opened
// proves nothing, there are hosts on which no kernel gets anywhere with it. A guest that does not
// come up on KVM within Boot is booted once more by translation.
func (h *Host) Run(ctx context.Context, g Guest) (Result, error) {
	g, err := g.check()
	if err != nil {
		return Result{}, err
	}
	program := h.QEMU
	if program == "" {
		if program, err = arches[g.Kernel.Arch].lookUp(); err != nil {
			return Result{}, err
		}
	}
	initramfs, notes, err := g.initramfs()
	if err != nil {
		return Result{}, err
	}
	var result Result
	choices := h.choices(g)
	for i, accel := range choices {
		result, err = g.boot(ctx, program, accel, initramfs)
		if result.Up > 0 && g.Accel == "" {
			h.remember(accel)
		}
		if result.Up > 0 || err == nil || ctx.Err() != nil || i == len(choices)-1 {
			break
		}
	}
	result.Notes = append(notes, result.Notes...)
	return result, errors.Join(err, initramfs.Close())
}

// choices returns the accelerators to try for a guest, in their order.
func (h *Host) choices(g Guest) []string {
	if g.Accel != "" {
		return []string{g.Accel}
	}
	if g.Kernel.Arch != runtime.GOARCH {
		return []string{TCG}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accel != "" {
		return []string{h.accel}
	}
	if !h.opensKVM() {
		return []string{TCG} // QEMU would say the same
	}
	return []string{KVM, TCG}
}

func (h *Host) opensKVM() bool {
	device := h.Device
	if device == "" {
		device = "/dev/kvm"
	}
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	_ = f.Close() // nothing was done with it
	return true
}

// AtOnce is how many guests with so many CPUs each this host's CPUs carry side by side, at least one. The translator
// runs all CPUs of a guest on one of the host's.
func (h *Host) AtOnce(guestCPUs int) int {
	if !h.opensKVM() {
		return runtime.NumCPU()
	}
	return max(1, runtime.NumCPU()/guestCPUs)
}

// remember is only for guests of our own architecture: others have no choice.
func (h *Host) remember(accel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accel = accel
}

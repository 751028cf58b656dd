package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cellwall/ci/kernels"
	"cellwall/ci/vm"
	"cellwall/ci/vm/guest"
	"cellwall/runtime/core"
	"cellwall/runtime/driver"
)

// guestFlags are those of the hidden command behind the runtime vm: see driver.GuestCommand.
type guestFlags struct {
	cache, kernel, accel string
	spec, began          int
	describe             bool
}

func newGuest(boot bootFunc) *cobra.Command {
	var f guestFlags
	c := &cobra.Command{
		Use:    driver.GuestCommand,
		Hidden: true,
		Short:  "boot the virtual machine that is a container of the runtime vm",
		Args:   noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.describe {
				return f.tell(c, boot)
			}
			return f.run(c, boot)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.kernel, driver.GuestKernel, "", "release of a kernel in the cache, or the beginning of one; by default the newest")
	flags.StringVar(&f.accel, driver.GuestAccel, "", "kvm or tcg")
	flags.IntVar(&f.spec, driver.GuestSpec, 0, "descriptor of the OCI spec")
	flags.IntVar(&f.began, driver.GuestBegan, 0, "descriptor that gets a byte when the program is about to begin")
	flags.BoolVar(&f.describe, driver.GuestDescribe, false, "boot a machine that does nothing, and print what it ran on")
	flags.StringVar(&f.cache, "cache", "", "directory of the kernels")
	return starts(c)
}

// find finds the kernel.
func (f *guestFlags) find() (kernels.Kernel, error) {
	cache := &kernels.Cache{Dir: f.cache}
	if f.cache == "" {
		dir, err := kernels.DefaultDir()
		if err != nil {
			return kernels.Kernel{}, err
		}
		cache.Dir = dir
	}
	return cache.Newest(runtime.GOARCH, f.kernel)
}

// Bounds of a boot. Where KVM works a kernel is up within a second or two; where it only seems to, it never is.
const (
	kvmBoot  = 10 * time.Second
	slowBoot = time.Minute
)

// tell boots a machine on KVM, or where that does not work by translation.
func (f *guestFlags) tell(c *cobra.Command, boot bootFunc) error {
	k, err := f.find()
	if err != nil {
		return misuse("%w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	accels := []string{vm.KVM, vm.TCG}
	if device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		accels = accels[1:]
	} else if err := device.Close(); err != nil {
		return err
	}
	for _, accel := range accels {
		limit := slowBoot
		if accel == vm.KVM {
			limit = kvmBoot
		}
		_, err = boot(c.Context(), vm.Guest{
			Kernel: k, Accel: accel, Program: self, Command: []string{"/version", "--version"}, Boot: limit, Limit: 2 * limit,
			Container: &vm.Container{Files: []vm.File{{Path: "/version", Source: self}}},
		})
		if err == nil {
			fmt.Fprintln(c.OutOrStdout(), accel, k.Release)
			return nil
		}
		if errors.Is(err, exec.ErrNotFound) || c.Context().Err() != nil {
			break
		}
	}
	return misuse("%w", err)
}

// run boots the machine of a container, and ends as its program does.
func (f *guestFlags) run(c *cobra.Command, boot bootFunc) error {
	k, err := f.find()
	if err != nil {
		return misuse("%w", err)
	}
	var s specs.Spec
	if err := json.NewDecoder(os.NewFile(uintptr(f.spec), "spec")).Decode(&s); err != nil {
		return misuse("read the spec: %w", err)
	}
	began := os.NewFile(uintptr(f.began), "began")
	unix.CloseOnExec(f.spec)
	unix.CloseOnExec(f.began)
	g, err := containerGuest(&s)
	if err != nil {
		return misuse("%w", err)
	}
	g.Kernel, g.Accel, g.Boot, g.Limit = k, f.accel, slowBoot, math.MaxInt64
	g.Container.Stdin, g.Stdout, g.Stderr = os.Stdin, os.Stdout, os.Stderr
	g.Began = func() { _, _ = began.Write([]byte{'.'}) } // who listens no more wants to know nothing
	result, err := boot(c.Context(), g)
	switch {
	case err != nil:
		return misuse("%w", err)
	case result.Exit != 0:
		return coded{result.Exit, nil}
	}
	return nil
}

// own is what a guest's kernel takes, in bytes, beside its files.
const own = 96 << 20

// containerGuest turns a spec of which the driver says that it can be expressed into a machine. It has as much memory
// as the limit, and what its kernel and its files take, which lie in memory too; without a limit that of vm.Guest.
func containerGuest(s *specs.Spec) (vm.Guest, error) {
	self, err := os.Executable()
	if err != nil {
		return vm.Guest{}, err
	}
	u := s.Process.User
	g := vm.Guest{CPUs: runtime.NumCPU(), Program: self, Command: s.Process.Args, Container: &vm.Container{
		Hostname: s.Hostname, Root: s.Root.Path,
		Container: guest.Container{Env: s.Process.Env, Dir: s.Process.Cwd, UID: u.UID, GID: u.GID, Groups: u.AdditionalGids},
	}}
	files := []string{self, s.Root.Path}
	for _, m := range s.Mounts {
		if m.Type == "bind" {
			g.Container.Files = append(g.Container.Files, vm.File{Path: m.Destination, Source: m.Source})
			files = append(files, m.Source)
			continue
		}
		flags, data, err := core.MountFlags(m.Options)
		if err != nil {
			return vm.Guest{}, fmt.Errorf("mount at %s: %w", m.Destination, err)
		}
		g.Container.Mounts = append(g.Container.Mounts, guest.Mount{Type: m.Type, Source: m.Source, Path: m.Destination, Flags: flags, Data: data})
	}
	if r := s.Linux.Resources; r != nil {
		if r.CPU != nil && r.CPU.Quota != nil && r.CPU.Period != nil && *r.CPU.Quota > 0 && *r.CPU.Period > 0 {
			g.CPUs = int((*r.CPU.Quota + int64(*r.CPU.Period) - 1) / int64(*r.CPU.Period))
		}
		if r.Memory != nil && r.Memory.Limit != nil && *r.Memory.Limit > 0 {
			g.Memory = *r.Memory.Limit + own
			for _, f := range files {
				n, err := bytesBelow(f)
				if err != nil {
					return vm.Guest{}, err
				}
				g.Memory += n
			}
		}
	}
	return g, nil
}

// bytesBelow is how many bytes the files at and below a path have.
func bytesBelow(path string) (n int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure the container's files: %w", err)
	}
	return n, nil
}

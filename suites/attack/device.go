package attack

import (
	"bytes"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

var deviceAttacks = []Attack{
	DefaultDevices,
	PrivatePTS,
	MakeNodes,
	UnlistedDevice,
	TerminalInjection,
	ControllingTerminal,
}

// DefaultDevices holds, so that the harness can look at /dev.
var DefaultDevices = Attack{Name: "device.default-set", Run: func(a *Attempt) {
	a.Hold("dev")
	entries, err := os.ReadDir("/dev")
	a.Try("read /dev", err)
	a.Fact("entries", len(entries))
}}

// PrivatePTS writes Target.Extra to the terminal Target.Path, then allocates one through
// /dev/ptmx and holds.
var PrivatePTS = Attack{Name: "device.private-pts", Run: func(a *Attempt) {
	fd, err := unix.Open(a.Target.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if a.Try("open "+a.Target.Path, err) {
		_, err := unix.Write(fd, []byte(a.Target.Extra))
		a.Try("write "+a.Target.Path, err)
	}
	_, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	a.Try("open /dev/ptmx", err)
	a.Hold("allocated")
}}

// MakeNodes makes a character and a block device below each of Target.Paths, and holds.
var MakeNodes = Attack{Name: "device.mknod", Run: func(a *Attempt) {
	for _, dir := range a.Target.Paths {
		dir = a.Inside(dir)
		null, demo := int(unix.Mkdev(1, 3)), int(unix.Mkdev(demoMajor, 0))
		a.Try("mknod "+dir+" c 1:3", unix.Mknod(dir+"/null", unix.S_IFCHR, null))
		a.Try("mknodat "+dir+" b 42:0", unix.Mknodat(unix.AT_FDCWD, dir+"/demo", unix.S_IFBLK, demo))
	}
	a.Hold("made")
}}

// demoMajor is for demonstrations: no driver has it (admin-guide/devices.txt).
const demoMajor = 42

// UnlistedDevice opens the node Target.Path of a device, makes one of its own of the number
// Target.Key in the directory beside it, and reads and writes through each; then it mounts the
// device on Target.Name.
var UnlistedDevice = Attack{Name: "device.unlisted", Run: func(a *Attempt) {
	node := a.Inside(a.Target.Path)
	a.useDevice(node)
	own := a.Inside(a.Target.Path + "-own/node")
	if a.Try("mknod", unix.Mknod(own, unix.S_IFBLK|0o600, a.Target.Key)) {
		a.useDevice(own)
	}
	a.Try("mount", unix.Mount(node, a.Inside(a.Target.Name), "ext4", unix.MS_RDONLY, ""))
}}

// useDevice reads the first block and writes one byte behind what it has read.
func (a *Attempt) useDevice(node string) {
	if fd, err := unix.Open(node, unix.O_RDONLY|unix.O_CLOEXEC, 0); a.Try("open to read "+node, err) {
		b := make([]byte, 512)
		_, err := unix.Read(fd, b)
		if a.Try("read "+node, err) {
			a.Saw(text(b))
		}
		unix.Close(fd) //nolint:errcheck // read-only
	}
	if fd, err := unix.Open(node, unix.O_WRONLY|unix.O_CLOEXEC, 0); a.Try("open to write "+node, err) {
		_, err := unix.Pwrite(fd, bytes.Repeat([]byte{'x'}, 512), 512)
		a.Try("write "+node, err)
		a.Try("fsync "+node, unix.Fsync(fd))
		unix.Close(fd) //nolint:errcheck // what counts was said by fsync
	}
}

// TerminalInjection types into the terminal that the harness passes, plainly and with bits above
// the request's 32 that the kernel ignores, and holds.
var TerminalInjection = Attack{Name: "device.terminal-injection", Run: func(a *Attempt) {
	fds := a.Inherited()
	if len(fds) == 0 {
		return
	}
	// A session leader without a terminal takes this one, and may then type without a
	// capability: ioctl_tty(2).
	fd := fds[0]
	a.Try("ioctl TIOCSCTTY", unix.IoctlSetInt(fd, unix.TIOCSCTTY, 0))
	for _, request := range []struct {
		name   string
		number uintptr
	}{
		{"TIOCSTI", unix.TIOCSTI},
		{"TIOCSTI with high bits", unix.TIOCSTI | HighBits},
		{"TIOCLINUX", tiocLinux},
		{"TIOCLINUX with high bits", tiocLinux | HighBits},
	} {
		b := byte('x')
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request.number, uintptr(unsafe.Pointer(&b)))
		a.Try("ioctl "+request.name, asError(errno))
	}
	a.Hold("typed")
}}

// ControllingTerminal opens /dev/tty and holds. It changes nothing: what it would reach is no
// bait but the terminal of whoever runs the harness.
var ControllingTerminal = Attack{Name: "device.controlling-terminal", Run: func(a *Attempt) {
	_, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	a.Try("open /dev/tty", err)
	a.Hold("opened")
}}

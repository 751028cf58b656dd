package core

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// session leaves the launcher's session and, where asked, takes a terminal of the container's
// own devpts. The slave is opened through the master (TIOCGPTPEER), never by a path that the
// image could have exchanged (CVE-2025-52565).
func (p *planner) session() error {
	p.add(Step{
		ID: "new-session", Barrier: "new session (setsid)",
		Text:   "start a new session",
		number: unix.SYS_SETSID,
	})
	if !p.Spec.Process.Terminal {
		return nil
	}
	unlock, master, slave := make([]byte, 4), p.slot(), p.slot()
	p.add(
		Step{
			Text:   "open a terminal",
			number: unix.SYS_OPENAT, args: calls(cwd(), str("/dev/ptmx"), num(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)), out: master,
		},
		Step{Text: "unlock the terminal", number: unix.SYS_IOCTL, args: calls(from(master), num(unix.TIOCSPTLCK), mem(unlock))},
		Step{
			Text:   "open the terminal's other end",
			number: unix.SYS_IOCTL, args: calls(from(master), num(tiocgptpeer), num(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)), out: slave,
		},
	)
	if uid := p.Spec.Process.User.UID; uid != 0 {
		// Else its user could not open what /dev/stdout leads to. The group stays that of the devpts, which may be
		// read-only, or another user namespace's.
		p.add(Step{
			Text:   fmt.Sprintf("give the terminal to user %d", uid),
			number: unix.SYS_FCHOWN, args: calls(from(slave), num(uid), num(owner(nil))),
			tolerate: []unix.Errno{unix.EPERM, unix.EROFS},
		})
	}
	if p.made != nil && p.ownDev() {
		// The OCI runtime-spec's /dev/console; the file is there since devices.
		tree := p.slot()
		p.add(Step{
			Text:   "copy the mount of the terminal",
			number: unix.SYS_OPEN_TREE,
			args:   calls(from(slave), str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)), out: tree,
		})
		p.add(p.moveTree(tree, "/dev/console", "bind the terminal on /dev/console")...)
	}
	if size := p.Spec.Process.ConsoleSize; size != nil {
		winsize := make([]byte, 8)
		binary.NativeEndian.PutUint16(winsize, uint16(size.Height))
		binary.NativeEndian.PutUint16(winsize[2:], uint16(size.Width))
		p.add(Step{Text: "set the terminal's size", number: unix.SYS_IOCTL, args: calls(from(slave), num(unix.TIOCSWINSZ), mem(winsize))})
	}
	for _, to := range []int{0, 1, 2} {
		p.add(Step{
			Text:   fmt.Sprintf("make the terminal descriptor %d", to),
			number: unix.SYS_DUP3, args: calls(from(slave), num(to), num(0)),
		})
	}
	p.add(
		Step{Text: "make it the controlling terminal", number: unix.SYS_IOCTL, args: calls(from(slave), num(unix.TIOCSCTTY), num(0))},
		// The message names a number that is known beforehand: that of the working directory, which is done with.
		Step{
			Text:   fmt.Sprintf("make the terminal's master descriptor %d", firstFree),
			number: unix.SYS_DUP3, args: calls(from(master), num(firstFree), num(unix.O_CLOEXEC)),
		},
		Step{
			Text:   "hand the terminal's master to the launcher",
			number: unix.SYS_SENDMSG, args: calls(fd(Line), ancillary(unix.UnixRights(firstFree)), num(0)),
		},
	)
	return nil
}

// tiocgptpeer is _IO('T', 0x41) of asm-generic/ioctls.h.
const tiocgptpeer = 0x5441

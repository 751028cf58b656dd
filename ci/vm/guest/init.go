package guest

import (
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Main is init. It does not return: at its end the machine is off.
//
// The order: proc, sys and dev, as nothing is found without them; modules, while the root
// directory is still the one that they lie in; the root directory that stays; the other file
// systems; the port to the outside; name, loopback, randomness, control groups. Then the outside
// is told that the guest is up, and the command runs.
//
// What goes wrong before there is a port is said on the console, after Complaint; later, in the
// last frame.
func Main() {
	g := &guest{}
	code, err := g.guarded(g.live)
	g.end(code, err)
	unix.Sync()
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	complain(fmt.Errorf("power off: %w", err))
	os.Exit(1) // which is a panic of the kernel, and that ends the machine as well
}

type guest struct {
	port *os.File
	out  *sender
	in   *inbox
}

// guarded makes a panic an error like any other. Its trace is on the console, too, where it is
// seen if there is no port.
func (g *guest) guarded(live func() (int, error)) (code int, err error) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(os.Stderr, "%s\n", debug.Stack())
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return live()
}

func (g *guest) live() (code int, err error) {
	notes, err := mountAll(basic)
	if err != nil {
		return 0, err
	}
	d, err := readDescription(DescriptionPath)
	if err != nil {
		return 0, err
	}
	more, err := loadModules(d.Modules)
	notes = append(notes, more...)
	if err != nil {
		return 0, err
	}
	more, err = makeRoot(d)
	notes = append(notes, more...)
	if err != nil {
		return 0, err
	}
	if g.port, err = openPort("/sys/class/virtio-ports", "/dev", Port, portWait); err != nil {
		return 0, err
	}
	g.out, g.in = &sender{w: g.port}, listen(g.port)
	session, more, err := setUp(d)
	if err != nil {
		return 0, err
	}
	name, err := release()
	if err != nil {
		return 0, err
	}
	if err := g.out.send(Frame{Kind: Up, Release: name, Notes: append(notes, more...)}); err != nil {
		return 0, err
	}
	return run(d, session, g.out, g.in)
}

// makeRoot makes the root directory that stays, with its file systems. A container's is the one that was unpacked:
// its program is nobody who would leave it by pivot_root(2).
func makeRoot(d Description) (notes []string, err error) {
	if d.Container != nil {
		return nil, d.Container.setUp()
	}
	if err := switchRoot(); err != nil {
		return nil, err
	}
	return mountAll(others)
}

// setUp does what is left to do once the outside can be told of errors.
func setUp(d Description) (session string, notes []string, err error) {
	if err := linkDevices(); err != nil {
		return "", nil, err
	}
	if err := unix.Sethostname([]byte(d.Hostname)); err != nil {
		return "", nil, fmt.Errorf("set the host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return "", nil, err
	}
	if err := addRandomness(d.Seed); err != nil {
		notes = append(notes, err.Error())
	}
	c := cgroups{root: "/sys/fs/cgroup", proc: "/proc/cgroups", mount: unix.Mount, mkdir: makeGroup}
	session, more, err := c.up(d.Cgroup)
	return session, append(notes, more...), err
}

// end tells the outside how it ended, and waits until it knows.
func (g *guest) end(code int, err error) {
	if g.out == nil {
		complain(err)
		return
	}
	last := Frame{Kind: Exit, Code: code}
	if err != nil {
		complain(err)
		last.Error = err.Error()
	}
	if err := g.out.send(last); err != nil {
		complain(err)
		return
	}
	g.in.awaitAck(ackWait)
}

func complain(err error) { fmt.Fprintf(os.Stderr, "\n%s%v\n", Complaint, err) }

package sentinel

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/suites/rtnetlink"
)

// wire is a pair of links between a network namespace that stands in for the host's and the
// attacker's. A container without a namespace of its own gets a second stand-in, so that there
// is always a wire between the two.
type wire struct {
	host, jail *standIn
	inode      string // of the harness's own namespace
	link       string // the host's end
}

// wireEnd is the attacker's end.
const wireEnd = "wire0"

func (s *Stage) wire() (w *wire, err error) {
	w = &wire{link: s.linkName()}
	if w.host, w.inode, err = s.netHost(); err != nil {
		return nil, err
	}
	w.jail, err = s.standIn(unix.CLONE_NEWNET)
	return w, err
}

// connect makes the links for an attacker, with the addresses of both ends. It goes with the
// attacker's namespace.
func (w *wire) connect(pid int, ours, theirs []string) error {
	return w.host.wireTo(fmt.Sprintf("/proc/%d/ns/net", pid), w.link, wireEnd, ours, theirs)
}

// wireTo makes a pair of links between the stand-in and the network namespace behind path, and
// waits until it works.
func (n *standIn) wireTo(path, link, end string, ours, theirs []string) (err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the other network namespace: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := n.inside(func() error {
		if err := rtnetlink.Veth(link, end, fd); err != nil {
			return err
		}
		return addAddresses(link, ours...)
	}); err != nil {
		return err
	}
	there := func(f func() error) error { return inNamespace(unix.CLONE_NEWNET, path, f) }
	if err := there(func() error { return errors.Join(allowIPv6(end), addAddresses(end, theirs...)) }); err != nil {
		return err
	}
	return errors.Join(carries(there, end, n.inside, link), carries(n.inside, link, there, end))
}

// wireTimeout bounds the wait for a wire to carry its first frame.
const wireTimeout = 5 * time.Second

// carries waits until frames that are sent at one end come out at the other. The end that came up
// first has no carrier until a worker of the kernel has seen the other one (linkwatch), which
// drops what comes before; the kernel shows that nowhere.
func carries(from func(func() error) error, sender string, to func(func() error) error, receiver string) (err error) {
	var stage Stage
	defer func() { err = errors.Join(err, stage.Undo.Close()) }()
	capture := -1
	if err := to(func() (err error) { capture, err = stage.capture(receiver); return err }); err != nil {
		return err
	}
	mark := Token()
	return from(func() error {
		for end := time.Now().Add(wireTimeout); time.Now().Before(end); {
			if err := sendFrame(sender, mark); err != nil {
				return err
			}
			if n, err := countFrames(capture, mark, time.Millisecond); n > 0 || err != nil {
				return err
			}
		}
		return fmt.Errorf("no frame came from %s to %s within %v", sender, receiver, wireTimeout)
	})
}

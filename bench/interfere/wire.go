package interfere

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"cellwall/bench/load"
	"cellwall/runtime/kernel"
	"cellwall/suites/rtnetlink"
)

// The link that all containers share, as those of a host share its network card: what it carries in bytes
// a second, in each direction, and how much waits at its ends before it drops.
const (
	linkRate  = 12_500_000 // 100 Mbit/s
	linkBurst = 64 << 10   // one packet as the kernel makes them of many (GSO)
	linkQueue = 256 << 10
	// shapedRate is half of it.
	shapedRate = linkRate / 2
)

// wire is a network namespace of a thread of this process with a bridge in it, to which all containers'
// links lead, and one to the far end. It ends with this process, however that does.
type wire struct {
	jobs  chan func()
	gone  chan struct{}
	made  int
	far   netip.Addr
	nexts netip.Addr // the next container's
}

const (
	sharedBridge = "shared"
	containerEnd = "eth0"
	prefixBits   = 16
)

func newWire() (*wire, error) {
	w := &wire{jobs: make(chan func()), gone: make(chan struct{}), far: netip.AddrFrom4([4]byte{10, 99, 0, 1})}
	w.nexts = w.far.Next()
	ready := make(chan error)
	go kernel.ThrowAway(func() {
		defer close(w.gone)
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err != nil {
			err = fmt.Errorf("make a network namespace: %w", err)
		} else if err = rtnetlink.Bridge(sharedBridge); err == nil {
			err = rtnetlink.Up(sharedBridge)
		}
		ready <- err
		if err != nil {
			return
		}
		for job := range w.jobs {
			job()
		}
	})
	if err := <-ready; err != nil {
		<-w.gone
		return nil, err
	}
	return w, nil
}

func (w *wire) close() error {
	close(w.jobs)
	<-w.gone
	return nil
}

// inside runs f in the namespace.
func (w *wire) inside(f func() error) error {
	done := make(chan error)
	w.jobs <- func() { done <- f() }
	return <-done
}

// within runs f in the network namespace of a descriptor.
func within(namespace int, f func() error) error {
	return kernel.OnThread(func() error {
		if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// connectFar makes the shared link: to the container of process pid, with a token bucket at both ends.
func (w *wire) connectFar(pid int) (err error) {
	namespace, err := openContainer(pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(namespace)) }()
	end, err := w.connect(namespace, w.far, sharedBridge)
	if err != nil {
		return err
	}
	if err := w.inside(func() error { return rtnetlink.Shape(end, linkRate, linkBurst, linkQueue) }); err != nil {
		return err
	}
	return within(namespace, func() error { return rtnetlink.Shape(containerEnd, linkRate, linkBurst, linkQueue) })
}

// connectNear makes the link of the container of process pid. A shaped one carries shapedRate: it leads over
// a bridge of its own, behind which what comes from the container, and in front of which what goes there
// passes a token bucket.
func (w *wire) connectNear(pid int, shaped bool) (err error) {
	namespace, err := openContainer(pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(namespace)) }()
	address := w.nexts
	w.nexts = w.nexts.Next()
	if !shaped {
		_, err := w.connect(namespace, address, sharedBridge)
		return err
	}
	own := fmt.Sprintf("own%d", w.made)
	out, in := fmt.Sprintf("out%d", w.made), fmt.Sprintf("in%d", w.made)
	if err := w.inside(func() error {
		here, err := openNet("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		return errors.Join(
			rtnetlink.Bridge(own), rtnetlink.Up(own),
			rtnetlink.Veth(out, in, here), unix.Close(here),
			rtnetlink.Enslave(out, own), rtnetlink.Enslave(in, sharedBridge),
			rtnetlink.Shape(out, shapedRate, linkBurst, linkQueue),
		)
	}); err != nil {
		return err
	}
	end, err := w.connect(namespace, address, own)
	if err != nil {
		return err
	}
	return w.inside(func() error { return rtnetlink.Shape(end, shapedRate, linkBurst, linkQueue) })
}

// connect makes a link between a bridge and a network namespace, and returns the bridge's end.
func (w *wire) connect(namespace int, address netip.Addr, bridge string) (end string, err error) {
	w.made++
	end = fmt.Sprintf("end%d", w.made)
	if err := w.inside(func() error {
		if err := rtnetlink.Veth(end, containerEnd, namespace); err != nil {
			return err
		}
		return rtnetlink.Enslave(end, bridge)
	}); err != nil {
		return "", err
	}
	return end, within(namespace, func() error {
		return errors.Join(rtnetlink.Address(containerEnd, netip.PrefixFrom(address, prefixBits)), rtnetlink.Up(containerEnd))
	})
}

// at is the far end at a port, as loads take it.
func (w *wire) at(port uint16) string { return netip.AddrPortFrom(w.far, port).String() }

// portFor is where an antagonist finds the far end.
func portFor(name string) uint16 {
	if name == "send" {
		return load.DiscardPort
	}
	return load.SourcePort
}

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// exiting bounds how long Close waits for processes that no list shows any more but that the
// kernel has not yet let go.
const exiting = 2 * time.Second

// Close removes the group and what has been made below it, detaches the device program and
// releases the descriptors. It fails while there are processes and names them; it can then be
// called again. Of a process that is not in every hierarchy the kernel tells only when the others
// are gone already. After a success it does nothing.
func (g *Group) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	if err := g.remove(); err != nil {
		return fmt.Errorf("remove cgroup %s: %w", g.name, err)
	}
	g.closed = true
	g.letGo()
	if g.onClose != nil {
		g.onClose()
	}
	return nil
}

func (g *Group) remove() error {
	if g.view {
		return nil
	}
	if d := g.v2(); d != nil && g.devices != nil {
		if err := d.detach(g.devices); err != nil && !gone(err) {
			return err
		}
		g.devices = nil
	}
	for ; g.removed < len(g.dirs); g.removed++ { // v1 first: only the v2 directory tells when its processes are gone
		if p, d := g.parents[g.removed], g.dirs[g.removed]; p.fd >= 0 {
			if err := d.remove(p, g.name, g.checkEmpty); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Group) checkEmpty() error {
	procs, err := g.procs()
	if err != nil {
		return err
	}
	if len(procs) > 0 {
		return fmt.Errorf("processes %v are in it: %w", procs, unix.EBUSY)
	}
	return nil
}

// remove removes a group and those below it. The kernel is asked first, which is one call; where it
// says that the group is busy, check says whether that is for a process that is there to stay.
func (d *dir) remove(parent *dir, name string, check func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), exiting)
	defer cancel()
	for {
		err := unix.Unlinkat(parent.fd, name, unix.AT_REMOVEDIR)
		if errors.Is(err, unix.EBUSY) { // groups below it, or processes
			if err := check(); err != nil {
				return err
			}
			if d.removeBelow() == nil {
				err = unix.Unlinkat(parent.fd, name, unix.AT_REMOVEDIR)
			}
		}
		if err == nil || gone(err) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return parent.wrap("remove", name, err)
		}
		if d.v2 {
			_ = d.waitState(ctx, "populated", "0")
		}
		if pause(ctx) != nil {
			return parent.wrap("remove", name, err)
		}
	}
}

func (d *dir) removeBelow() error {
	names, err := d.children()
	if err != nil {
		return err
	}
	for _, name := range names {
		c, err := openDir(d, d.fd, name, path.Join(d.path, name))
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		err = c.removeBelow()
		c.close()
		if err != nil {
			return err
		}
		if err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

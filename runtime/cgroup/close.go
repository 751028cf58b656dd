package cgroup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// exiting bounds how long Close waits for processes that no list shows any more but that the
// kernel has not yet let go.
const exiting = 2 * time.Second

// Close removes the group and what has been made below it, detaches the device program and
// releases the descriptors. While there are processes it removes nothing and names them; it can
// then be called again. After a success it does nothing.
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
	if !g.unpopulated() {
		if err := g.checkEmpty(); err != nil {
			return err
		}
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

// unpopulated reports whether the v2 directory knows of no process. One read of one file, where
// checkEmpty walks every hierarchy; a process that is in a v1 hierarchy alone makes the removal
// fail with EBUSY.
func (g *Group) unpopulated() bool {
	d := g.v2()
	if d == nil {
		return false
	}
	events, err := d.read("cgroup.events")
	return err == nil && strings.Contains(events, "populated 0\n")
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

// remove removes a group and those below it. Where the kernel says that it is busy, check says
// whether that is for a process that is there to stay.
func (d *dir) remove(parent *dir, name string, check func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), exiting)
	defer cancel()
	for {
		err := unix.Unlinkat(parent.fd, name, unix.AT_REMOVEDIR)
		if errors.Is(err, unix.EBUSY) && d.removeBelow() == nil { // groups below it, or processes
			err = unix.Unlinkat(parent.fd, name, unix.AT_REMOVEDIR)
		}
		if err == nil || gone(err) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return parent.wrap("remove", name, err)
		}
		if err := check(); err != nil {
			return err
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

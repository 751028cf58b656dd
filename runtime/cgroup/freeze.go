package cgroup

import (
	"context"
	"errors"
	"fmt"
)

// Freeze stops all processes of the group and waits until each has stopped. A process in an
// uninterruptible sleep makes that last as long as it sleeps. After an error none is stopped.
func (g *Group) Freeze(ctx context.Context) error {
	if err := g.freeze(ctx, true); err != nil {
		return fmt.Errorf("freeze cgroup %s: %w", g.name, err)
	}
	return nil
}

// Thaw undoes Freeze.
func (g *Group) Thaw(ctx context.Context) error {
	if err := g.freeze(ctx, false); err != nil {
		return fmt.Errorf("thaw cgroup %s: %w", g.name, err)
	}
	return nil
}

func (g *Group) freeze(ctx context.Context, on bool) error {
	if g.view {
		return errView
	}
	if err := g.use(); err != nil {
		return err
	}
	defer g.release()
	if d := g.v2(); d != nil {
		value := flag(on, true)
		if err := d.write("cgroup.freeze", value); err != nil {
			return err
		}
		err := d.waitState(ctx, "frozen", value)
		if err != nil && on { // half frozen is no state to leave a group in
			err = errors.Join(err, d.write("cgroup.freeze", "0"))
		}
		return err
	}
	d := g.dir("freezer")
	if d == nil {
		return g.lacks("freezer")
	}
	want := map[bool]string{true: "FROZEN", false: "THAWED"}[on]
	for {
		// Writing again while FREEZING catches tasks that the first round found in a state
		// that it could not freeze (freezer-subsystem.rst). v1 has no event for the change.
		if err := d.write("freezer.state", want); err != nil {
			return err
		}
		state, err := d.read("freezer.state")
		if err != nil {
			return err
		}
		if state == want {
			return nil
		}
		if err := pause(ctx); err != nil {
			return errors.Join(fmt.Errorf("state is %s: %w", state, err), d.write("freezer.state", "THAWED"))
		}
	}
}

package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
)

// engineContainer is a container of an engine's, which we know by its id.
type engineContainer struct {
	*engine
	bundle  Bundle
	dir     string        // what is the container's of the trial
	alias   string        // a name for it on the host, which begins with that of the trial
	run     string        // podman's --runroot, which leads into dir
	manager *cgroup.Group // what the engine's own processes run in
	mounts  *commandMounts
	id      string // the engine's own
	below   string // the container's cgroup
	init    *awaited
	exe     string // what init executed when it was found
	began   bool
	errs    *said
	client  *program // that the container's streams go through; nil until it starts
	undo    cleanup.Stack
}

func (c *engineContainer) at(file string) string { return filepath.Join(c.dir, file) }

// from is the mount namespace in which the commands run.
func (c *engineContainer) from() string {
	if c.mounts != nil {
		return c.mounts.path()
	}
	return c.bundle.From
}

func (e *engine) Create(ctx context.Context, b Bundle) (_ Container, err error) {
	if err := e.Expresses(b); err != nil {
		return nil, err
	}
	if b.Parent == nil {
		return nil, fmt.Errorf("%s: a container needs a cgroup, by which it is found again", e.name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &engineContainer{engine: e, bundle: b}
	defer c.undo.OnError(&err)
	if c.dir, err = os.MkdirTemp(b.Dir, e.name+"-"); err != nil {
		return nil, fmt.Errorf("make the container's directory: %w", err)
	}
	c.undo.Push("remove the container's directory", func() error { return rootfs.Remove(c.dir) })
	if err := os.Chmod(c.dir, 0o755); err != nil { // a mapped root must pass
		return nil, fmt.Errorf("make the container's directory: %w", err)
	}
	c.alias = filepath.Base(b.Dir) + strings.TrimPrefix(filepath.Base(c.dir), e.name)
	if !e.daemon {
		if err := c.shorten(); err != nil {
			return nil, err
		}
	}
	// The engine gets the id as it is, our own paths no part of one that could lead elsewhere.
	name := b.ID
	if core.ValidID(name) != nil {
		name = filepath.Base(c.dir)
	}
	if c.manager, err = b.Parent.Create(name+"-engine", cgroup.Limits{}); err != nil {
		return nil, err
	}
	c.undo.Push("remove the engine's cgroup", c.manager.Close)
	if !e.daemon {
		if c.mounts, err = newCommandMounts(b.From, e.under.hidden(b.Parent)); err != nil {
			return nil, err
		}
		c.undo.Push("end the engine's mounts", c.mounts.file.Close)
	}
	if err := c.writeFiles(); err != nil {
		return nil, err
	}
	c.undo.Push("remove what the engine left", c.sweep)
	return c, c.create(ctx)
}

// create has the engine make the container, as far as it does so before its program starts.
func (c *engineContainer) create(ctx context.Context) error {
	image := []string{"--rootfs", c.bundle.Spec.Root.Path}
	if c.daemon {
		id, err := c.importImage(ctx)
		if err != nil {
			return err
		}
		c.undo.Push("remove the image", func() error { return c.bounded("image", "rm", "--force", id) })
		image = []string{id}
	}
	parent, err := below(c.bundle.Parent, "")
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	options, err := c.options(c.bundle, c.dir)
	if err != nil {
		return err
	}
	if c.daemon {
		options = append(options, "--label="+engineLabel+"="+c.alias)
	} else {
		options = append(options, "--pidfile="+c.at(pidFile))
	}
	args := slices.Concat([]string{"create", "--name=" + c.bundle.ID, "--cgroup-parent=" + parent}, options, image, c.bundle.Spec.Process.Args)
	id, warned, err := c.call(ctx, c.launch(args...))
	if err != nil {
		return err
	}
	if !engineID().MatchString(id) {
		return fmt.Errorf("%s create: %.80q is no id of a container", c.name, id)
	}
	c.id, c.below = id, filepath.Join(parent, c.group(id))
	c.undo.Push("remove the container", c.end)
	if warned != "" { // the container is made without what this says
		return kernel.Unsupported("%s: %s", c.name, warned)
	}
	if c.daemon {
		return nil
	}
	l := c.launch("init", id)
	l.prepare = c.bundle.Prepare
	if _, _, err := c.call(ctx, l); err != nil {
		return err
	}
	return c.found(awaitFile(c.at(pidFile)))
}

// found holds on to the container's init.
func (c *engineContainer) found(init *awaited, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	c.init, c.exe = init, init.executes()
	c.undo.Push("forget the container's init", init.close)
	return c.placed()
}

// engineID matches the id of a container.
var engineID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })

// importImage makes an image of the root directory, and returns its id.
func (c *engineContainer) importImage(ctx context.Context) (string, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("make a pipe: %w", err)
	}
	written := make(chan error, 1)
	go func() { written <- errors.Join(writeImage(c.bundle.Spec.Root.Path, write), write.Close()) }()
	l := c.launch("import", "-", c.alias)
	l.stdin = read
	id, _, err := c.call(ctx, l)
	err = cmp.Or(err, read.Close()) // ends the writing where the engine has ended before
	if err := cmp.Or(err, <-written); err != nil {
		return "", err
	}
	if !strings.HasPrefix(id, "sha256:") || !engineID().MatchString(strings.TrimPrefix(id, "sha256:")) {
		return "", fmt.Errorf("%s import: %.80q is no id of an image", c.name, id)
	}
	return id, nil
}

// placed says that the container's process is in its cgroup, in every hierarchy that the parent is in. Beside v1
// some leave v2 alone.
func (c *engineContainer) placed() (err error) {
	g, err := cgroup.Open(c.init.pid)
	if err != nil {
		return fmt.Errorf("look at process %d of the container: %w", c.init.pid, err)
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	parents := c.bundle.Parent.Hierarchies()
	for _, h := range g.Hierarchies() {
		ours := slices.ContainsFunc(parents, func(p cgroup.Hierarchy) bool { return p.Name == h.Name })
		if ours && h.Below != c.below && (!h.V2 || len(parents) == 1) {
			return fmt.Errorf("process %d of the container is not in cgroup %s but in %s of %s: is the engine on this host?", c.init.pid, c.below, h.Below, h.Name)
		}
	}
	return nil
}

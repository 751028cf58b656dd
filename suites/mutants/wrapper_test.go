package mutants_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What tells a wrapper who it is. They are taken out of the environment before the real runtime
// sees it.
const (
	wrapperVariable = "CELLWALL_WEAKEN"
	realVariable    = "CELLWALL_REAL"
	// bystanderVariable is the pid of a process of the test's.
	bystanderVariable = "CELLWALL_BYSTANDER"
)

// TestMain makes this program a wrapper around a real runtime where the environment says so.
func TestMain(m *testing.M) {
	name := os.Getenv(wrapperVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	c := &call{program: os.Getenv(realVariable), bystander: os.Getenv(bystanderVariable), args: os.Args[1:]}
	err := errors.Join(os.Unsetenv(wrapperVariable), os.Unsetenv(realVariable), os.Unsetenv(bystanderVariable))
	if w, ok := wrapperOf(name); !ok {
		err = errors.Join(err, fmt.Errorf("no wrapper %q", name))
	} else if err == nil {
		err = w.do(c)
	}
	if err == nil {
		err = unix.Exec(c.program, append([]string{c.program}, c.args...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "wrapper:", err)
	os.Exit(1)
}

// step does what it wants with a command before the real runtime gets it. One that ends the program
// keeps the command to itself.
type step func(*call) error

// wrapper is a step, and the commands about a container that it is for: all others go to the real
// runtime at once, without this program, which takes as long to start as some runtimes to make a container.
type wrapper struct {
	commands []string
	do       step
}

// unchanged is the name of the wrapper that changes nothing.
const unchanged = "nothing"

// wrapperOf finds a wrapper in the tables.
func wrapperOf(name string) (wrapper, bool) {
	switch name {
	case unchanged:
		return always(nothing), true
	case killsTooMuch:
		return on("delete", killBystander, really), true
	}
	for _, w := range weaknesses() {
		if w.name == name {
			return w.do, true
		}
	}
	for _, u := range allUntold() {
		if u.name == name {
			return u.do, true
		}
	}
	for _, l := range lies() {
		if l.name == name {
			return l.do, true
		}
	}
	return wrapper{}, false
}

// call is one command that a runtime was given.
type call struct {
	program   string
	bystander string // its pid
	args      []string
}

// commands are those about a container.
var commands = []string{"create", "start", "kill", "delete"}

// command is the command of the call.
func (c *call) command() string {
	for _, a := range c.args {
		if slices.Contains(commands, a) {
			return a
		}
	}
	return ""
}

// option is the value of an option.
func (c *call) option(name string) string {
	if i := slices.Index(c.args, name); i >= 0 && i+1 < len(c.args) {
		return c.args[i+1]
	}
	return ""
}

// bundle is the container's bundle: the driver keeps the state that --root names in it.
func (c *call) bundle() string { return filepath.Dir(c.option("--root")) }

// spec reads the bundle's spec.
func (c *call) spec() (*specs.Spec, error) {
	raw, err := os.ReadFile(filepath.Join(c.bundle(), "config.json"))
	if err != nil {
		return nil, err
	}
	var s specs.Spec
	return &s, json.Unmarshal(raw, &s)
}

// edit changes the bundle's spec.
func (c *call) edit(apply func(*specs.Spec)) error {
	s, err := c.spec()
	if err != nil {
		return err
	}
	apply(s)
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.bundle(), "config.json"), raw, 0o600)
}

// run has the real runtime carry the command out, and comes back.
func (c *call) run() error {
	cmd := exec.Command(c.program, c.args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// edited is a wrapper that changes the spec of every container.
func edited(apply func(*specs.Spec)) wrapper {
	return before("create", func(c *call) error { return c.edit(apply) })
}

// inOrder is one step after another.
func inOrder(all ...step) step {
	return func(c *call) error {
		for _, do := range all {
			if err := do(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// together is one wrapper after another.
func together(all ...wrapper) wrapper {
	var w wrapper
	var steps []step
	for _, one := range all {
		w.commands = append(w.commands, one.commands...)
		steps = append(steps, one.do)
	}
	w.do = inOrder(steps...)
	return w
}

// always is a wrapper of every command about a container.
func always(do step) wrapper { return wrapper{commands, do} }

// before is a wrapper that does something before the real runtime carries out one command.
func before(command string, steps ...step) wrapper {
	return wrapper{[]string{command}, func(c *call) error {
		if c.command() != command {
			return nil
		}
		return inOrder(steps...)(c)
	}}
}

// with adds options to create.
func with(options ...string) step {
	return func(c *call) error {
		i := slices.Index(c.args, "create")
		c.args = slices.Insert(slices.Clone(c.args), i+1, options...)
		return nil
	}
}

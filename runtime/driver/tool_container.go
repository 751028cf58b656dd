package driver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
)

// toolContainer is a process of a tool's, in a control group.
type toolContainer struct {
	*tool
	bundle  Bundle
	launch  launch
	group   *cgroup.Group
	errs    *said
	program *program // nil until it starts
	began   bool     // the container's own program was seen
	told    func() error
	undo    cleanup.Stack
}

// groupName is the id, or a name of our own where the id is none: tools have no names for what
// they make.
func groupName(id string) string {
	if core.ValidID(id) == nil {
		return id
	}
	return "tool-" + rand.Text()
}

// Pid is 0: which of its processes the program is a tool does not say. Of a sandbox it is the tool itself.
func (c *toolContainer) Pid() int {
	if c.program == nil || c.launch.began == nil {
		return 0
	}
	return c.program.cmd.Process.Pid
}

const (
	// lookEvery is how often Start looks for the program, which takes some milliseconds to come.
	lookEvery = time.Millisecond
	// drained bounds the wait for the last words of a tool whose processes have not all ended.
	drained = time.Second
	// dying bounds the wait for those that the kernel kills, with a pid namespace's init or for us.
	dying = 2 * time.Second
)

// Start returns when the program has taken the tool's place. A tool that ends before with an error
// says why on its standard error, which is the container's.
func (c *toolContainer) Start(ctx context.Context) (err error) {
	if c.program != nil {
		return fmt.Errorf("start %s: it was started before", c.bundle.ID)
	}
	if c.errs, err = newSaid(c.bundle.Stderr); err != nil {
		return err
	}
	c.undo.Push("close the container's errors", c.errs.close)
	c.launch.stderr = c.errs.write
	// It is not the call's: the container outlives that.
	c.program, err = c.launch.start(context.WithoutCancel(ctx))
	if err := errors.Join(err, c.errs.write.Close()); err != nil {
		return err
	}
	c.undo.Push("end the runtime's init", func() error {
		if c.told == nil {
			return nil
		}
		return c.told()
	})
	c.undo.Push("end what is left", c.end)
	if c.launch.began != nil {
		return c.awaitWord(ctx)
	}
	if c.interpreted() {
		return nil
	}
	want := strings.Join(c.bundle.Spec.Process.Args, "\x00") + "\x00"
	for !c.began {
		select {
		case <-c.program.done:
			return c.failure()
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
		procs, err := c.group.Procs()
		if err != nil {
			return err
		}
		for _, pid := range procs {
			// One more would be another program's: a process makes its own as long as it likes.
			args, err := readSome("/proc/"+strconv.Itoa(pid)+"/cmdline", int64(len(want))+1)
			if err != nil || string(args) != want {
				continue
			}
			c.began = true
			if c.launch.init {
				if c.told, err = endsWith(pid, procs); err != nil {
					return err
				}
			}
			break
		}
	}
	return nil
}

// awaitWord waits until the tool says that the program begins, or ends.
func (c *toolContainer) awaitWord(ctx context.Context) error {
	if err := c.launch.files[len(c.launch.files)-1].Close(); err != nil {
		return fmt.Errorf("start %s: %w", c.bundle.ID, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.launch.began.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.launch.began.Read(make([]byte, 1)); err == nil {
		c.began = true
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	<-c.program.done // its end of the pipe is closed with it
	return cmp.Or(c.failure(), fmt.Errorf("%s has ended before the program began", c.name))
}

// interpreted reports whether the program is a script: its process has the interpreter's arguments,
// and Start cannot wait for them.
func (c *toolContainer) interpreted() bool {
	root, err := os.OpenRoot(c.bundle.Spec.Root.Path)
	if err != nil {
		return false
	}
	defer root.Close() //nolint:errcheck // a directory
	f, err := root.Open(strings.TrimPrefix(filepath.Clean("/"+c.bundle.Spec.Process.Args[0]), "/"))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // read-only
	var magic [2]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "#!"
}

// unheard is what lxc-init exits with where it cannot execute the program: exit(-1) in lxc_container_init, initutils.c.
const unheard = 255

// failure is what a tool that has ended said of a container that never began.
func (c *toolContainer) failure() error {
	var exit *exec.ExitError
	if err := c.program.err; err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("wait for %s: %w", c.name, err)
	}
	text := c.errs.text()
	if text == "" && c.launch.init && exit != nil && exit.ExitCode() == unheard {
		text = "it says nothing, as where it cannot execute " + c.bundle.Spec.Process.Args[0]
	}
	if !c.began && exit != nil && text != "" {
		return fmt.Errorf("%s cannot make the container: %s (%w)", c.name, text, exit)
	}
	return nil
}

// Wait waits for the tool. Tools tell of a signal in their own way: bwrap exits with 128 and its
// number.
func (c *toolContainer) Wait(ctx context.Context) (Status, error) {
	if c.program == nil {
		return Status{}, fmt.Errorf("wait for %s: it was not started", c.bundle.ID)
	}
	select {
	case <-c.program.done:
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
	if err := c.failure(); err != nil {
		return Status{}, err
	}
	return c.program.status(), nil
}

// Kill sends SIGKILL to all of the container, every other signal to the tool.
func (c *toolContainer) Kill(sig unix.Signal) error {
	if c.program == nil || c.ended() {
		return os.ErrProcessDone
	}
	if sig != unix.SIGKILL {
		return c.program.cmd.Process.Signal(sig)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dying)
	defer cancel()
	return c.group.Kill(ctx)
}

func (c *toolContainer) ended() bool {
	select {
	case <-c.program.done:
		return true
	default:
		return false
	}
}

// Delete kills what is left, and says so where the tool has ended by itself: that the kill is ours and
// not the tool's. The error is a *cleanup.Left then.
func (c *toolContainer) Delete(context.Context) error { return c.undo.Close() }

func (c *toolContainer) State() specs.State {
	return specs.State{Version: specs.Version, ID: c.bundle.ID, Bundle: c.bundle.Dir}
}

// end ends all processes of the container.
func (c *toolContainer) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), dying)
	defer cancel()
	if !c.ended() {
		err := c.group.Kill(ctx)
		if err != nil { // at least the tool itself
			err = errors.Join(err, c.program.cmd.Process.Kill())
		}
		<-c.program.done
		return err
	}
	left, err := c.group.Procs()
	for err == nil && len(left) > 0 && ctx.Err() == nil {
		select {
		case <-time.After(lookEvery):
			left, err = c.group.Procs()
		case <-ctx.Done():
		}
	}
	if err == nil {
		err = cleanup.LeftBy(c.name, append(named(left), c.program.left...))
	}
	killing, cancel := context.WithTimeout(context.Background(), dying)
	defer cancel()
	return errors.Join(err, c.group.Kill(killing))
}

// named are processes with their names, for a person.
func named(pids []int) []string {
	var names []string
	for _, pid := range pids {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // it may have ended
		names = append(names, fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(comm))))
	}
	return names
}

// Package driver makes containers with any runtime through one interface.
//
// It knows nothing of guarantees. Whoever needs the core alone uses package core.
package driver

import (
	"context"
	"os"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/spec"
)

// Runtime turns bundles into containers.
type Runtime interface {
	// Name is how the user names the runtime: "core", "runc".
	Name() string
	// Version is what the runtime says of itself.
	Version(context.Context) (string, error)
	// Floor is the lowest rung of the ladder of which it makes containers.
	Floor() spec.Rung
	// Lacks are edits of every spec: they take out what this runtime does not have, so that the
	// rest can be tried. What rests on it the runtime cannot claim.
	Lacks() spec.Edits
	// Expresses returns nil if the runtime can make what the bundle asks for, and an error
	// that wraps kernel.ErrNotSupported and names what it cannot.
	Expresses(Bundle) error
	// Create makes a container whose program has not started. After an error nothing is left.
	Create(context.Context, Bundle) (Container, error)
}

// Bundle is what a container is made of.
type Bundle struct {
	// ID names the container and its cgroup: core.ValidID.
	ID string
	// Dir is the bundle's directory, for runtimes that read a config.json. It may be empty for
	// those that do not.
	Dir  string
	Spec *specs.Spec
	// Omit names steps of the core's plan to leave out. Other runtimes cannot express it.
	Omit []string
	// From is a mount namespace file in which the runtime runs instead of the launcher's.
	From string
	// Prepare is called on the thread that starts the runtime, which is thrown away then: what it
	// takes, such as groups or a session keyring, is what a container could inherit.
	Prepare func() error
	// Parent is the cgroup below which the container's own is made; nil is none at all.
	Parent *cgroup.Group
	// Stdin, Stdout and Stderr are the program's; nil is /dev/null. They stay the caller's.
	Stdin, Stdout, Stderr *os.File
}

// Container is one container, from Create to Delete.
type Container interface {
	// Pid is the host's pid of the container's init, 0 where the runtime does not tell.
	Pid() int
	// Start lets the program run.
	Start(context.Context) error
	// Wait waits until init has ended.
	Wait(context.Context) (Status, error)
	// Kill sends a signal to init; os.ErrProcessDone if it has ended.
	Kill(unix.Signal) error
	// Delete ends what is left and removes what was made. It is idempotent.
	Delete(context.Context) error
	// State is the container's state in OCI words.
	State() specs.State
}

// Status is how a container's init ended.
type Status struct {
	Code   int           // exit status, where it exited
	Signal unix.Signal   // what killed it, or 0
	CPU    time.Duration // of init and its waited-for children, 0 where unknown
}

package driver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// known are the runtimes that users name, in the order in which tables show them.
var known = []struct {
	name string
	make func(ctx context.Context, name, path string) (Runtime, error)
}{
	{runcName, ociWith(runcQuirks)},
	{crunName, ociWith(crunQuirks)},
	{"runsc", ociWith(quirks{sandbox: true})},
	{"bwrap", newBwrap},
	{nspawnName, newNspawn},
	{"lxc-execute", newLXC},
	{"unshare", newUnshare},
	{"chroot", newChroot},
	{"podman", engineWith(podman())},
	{"docker", engineWith(docker())},
	{VMName, nil}, // of this program, and not of one that could be looked up
}

// OCI runtimes that engines use.
const runcName, crunName = "runc", "crun"

var (
	runcQuirks = quirks{burstSince: "1.2.0", featuresSince: "1.1.0", nullSince: []string{"1.2.8", "1.3.3", "1.4.0"}}
	crunQuirks = quirks{noHybrid: true, bfqSince: "1.8.2", burstSince: "1.11", featuresSince: "1.8.6"}
)

func ociWith(q quirks) func(ctx context.Context, name, path string) (Runtime, error) {
	return func(ctx context.Context, name, path string) (Runtime, error) { return newOCI(ctx, name, path, q) }
}

// ociPrefix starts the name of a runtime that is known only by its OCI command line.
const ociPrefix = "oci:"

// Names are the runtimes that have a name of their own, the core first.
func Names() []string {
	names := []string{CoreName}
	for _, k := range known {
		names = append(names, k.name)
	}
	return names
}

// Kind is the name of the runtime that a labelled one is of: "runc" of "runc@new". Others are of their own.
func Kind(name string) string {
	kind, label, labelled := strings.Cut(name, labelSign)
	if labelled && slices.Contains(Names(), kind) && labelPattern().MatchString(label) {
		return kind
	}
	return name
}

// labelSign stands between the name of a runtime and a label that tells two programs of it apart.
const labelSign = "@"

var labelPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`) })

// Forms says what Find knows, for a person.
func Forms() string {
	return strings.Join(Names(), ", ") + ", NAME=PATH, NAME" + labelSign + "LABEL=PATH, " + VMName + "=KERNEL, " + ociPrefix + "PATH or " + ExecPrefix + "FILE"
}

// Check returns an error unless Find could know the name.
func Check(name string) error {
	short, path, named := strings.Cut(name, "=")
	kind := Kind(short)
	switch {
	case name == ociPrefix:
		return fmt.Errorf("runtime %q names no program: write %sPATH", name, ociPrefix)
	case name == ExecPrefix:
		return fmt.Errorf("runtime %q names no file: write %sFILE", name, ExecPrefix)
	case strings.HasPrefix(name, ExecPrefix):
		_, err := readTemplate(strings.TrimPrefix(name, ExecPrefix))
		return err
	case strings.HasPrefix(name, ociPrefix):
		return nil
	case named && kind == CoreName:
		return errors.New("the core is this program: it has no other path")
	case named && path == "" && kind == VMName:
		return fmt.Errorf("runtime %q names no kernel: write %s=RELEASE, or the beginning of one, as cellwall kernels list has it", name, short)
	case named && path == "":
		return fmt.Errorf("runtime %q names no program: write %s=PATH", name, short)
	case !named && strings.Contains(name, "/"):
		return fmt.Errorf("runtime %q is a path: write %s%s, or NAME=%s", name, ociPrefix, name, name)
	case kind != short && !named:
		return fmt.Errorf("runtime %q names no program: write %s=PATH", name, short)
	case !slices.Contains(Names(), kind):
		return fmt.Errorf("runtime %q is unknown: it is one of %s", name, Forms())
	}
	return nil
}

// ErrAbsent is wrapped where the program of a runtime is not on this host.
var ErrAbsent = errors.New("not on this host")

// Unfit is an error that wraps ErrAbsent: a program of that name is there, and is none that can be used.
type Unfit struct {
	Name string // of the runtime
	Why  error
}

func (u *Unfit) Error() string {
	return fmt.Sprintf("runtime %s: %v as it is needed: %v", u.Name, ErrAbsent, u.Why)
}
func (u *Unfit) Unwrap() []error { return []error{ErrAbsent, u.Why} }

// fitVersion is the version of a program whose name others have too: those of BusyBox refuse to say one.
func fitVersion(ctx context.Context, name, path string) (string, error) {
	v, err := version(ctx, path)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		err = &Unfit{Name: name, Why: err}
	}
	return v, err
}

// Find returns the runtime that a user names: "runc", "runc=/opt/bin/runc", "runc@new=/opt/bin/runc",
// "oci:/usr/bin/youki", "exec:mine.yaml", "vm=6.1".
// The core is the caller's. A program that is not there wraps ErrAbsent.
func Find(ctx context.Context, name string, core Runtime) (Runtime, error) {
	if err := Check(name); err != nil {
		return nil, err
	}
	if name == CoreName {
		return core, nil
	}
	if program, ok := strings.CutPrefix(name, ociPrefix); ok {
		path, err := lookUp(program)
		if err != nil {
			return nil, err
		}
		return newOCI(ctx, name, path, quirks{})
	}
	if file, ok := strings.CutPrefix(name, ExecPrefix); ok {
		return newTemplate(ctx, name, file)
	}
	short, program, named := strings.Cut(name, "=")
	if Kind(short) == VMName {
		return newVM(ctx, short, program)
	}
	if !named {
		program = short
	}
	path, err := lookUp(program)
	if err != nil {
		return nil, err
	}
	i := slices.Index(Names(), Kind(short)) - 1
	return known[i].make(ctx, short, path)
}

func lookUp(program string) (string, error) {
	path, err := exec.LookPath(program)
	var why *exec.Error
	if errors.As(err, &why) {
		err = why.Err // without the name, which stands before it
	}
	if err != nil {
		return "", fmt.Errorf("runtime %s: %w: %w", program, ErrAbsent, err)
	}
	return path, nil
}

package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
)

// containersDir is where running containers are written down, below the leases' directory.
const containersDir = "containers"

func newRun() *cobra.Command {
	var f containerFlags
	var id string
	var watch, verbose bool
	c := &cobra.Command{
		Use:   "run [flags] -- PROGRAM [ARGUMENT...]",
		Short: "run a program in a container made by hand",
		Long: "run makes a container with the core at a rung of the ladder and runs a program in it. The exit status is\n" +
			"the program's, or 128 and the signal that killed it; 127 where it is not there, 126 where it may not be executed,\n" +
			"125 where cellwall failed or was used in a wrong way. The container dies with this command.",
		Example: "  sudo cellwall run --from-host bash,ls --rung chroot -- bash -c 'ls /'\n" +
			"  sudo cellwall run --from-host bash,yes,tr,head,grep --memory 80M --pids 64 -it -- bash\n" +
			"  sudo cellwall run --bundle ./bundle",
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args, id, watch, verbose)
		},
	}
	f.add(c)
	c.Flags().StringVar(&id, "id", "", "the container's name, for cellwall exec; made up if not given, as it is without root")
	c.Flags().BoolVar(&watch, "watch", false, "draw CPU, memory, tasks and throttling on stderr while it runs")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "say what is done")
	return starts(c)
}

func (f *containerFlags) run(c *cobra.Command, args []string, id string, watch, verbose bool) (err error) {
	if id != "" {
		if err := core.ValidID(id); err != nil {
			return misuse("--id: %w", err)
		}
		if err := needRoot("--id names a container for exec"); err != nil {
			return err
		}
	}
	if err := f.sources(); err != nil {
		return err // before anything is made
	}
	if err := f.needsNoRoot(); err != nil {
		return err
	}
	var undo cleanup.Stack
	defer func() {
		if closed := undo.Close(); closed != nil {
			err = done(errors.Join(err, closed))
		}
	}()
	place, err := takePlace(&undo)
	if err != nil {
		return done(err)
	}
	s, err := f.build(place.dir, args, &undo)
	if err != nil {
		return done(err)
	}
	if place.groups == nil {
		if err := unlimited(c.ErrOrStderr(), f, s); err != nil {
			return err
		}
	}
	if err := seclude(place.dir, s); err != nil {
		return done(err)
	}
	if id == "" {
		id = place.name
	}
	o := core.Options{Spec: s, Bundle: f.bundle, Parent: place.groups, GroupName: place.name}
	if f.stdin || s.Process.Terminal {
		o.Stdin, _ = c.InOrStdin().(*os.File)
	}
	o.Stdout, o.Stderr = outFile(c.OutOrStdout()), outFile(c.ErrOrStderr())
	launcher, err := core.NewLauncher(core.LauncherOptions{OneShot: true})
	if err != nil {
		return done(err)
	}
	undo.Push("close the launcher", launcher.Close)
	container, err := launcher.Create(c.Context(), id, o)
	if err != nil {
		return done(err)
	}
	undo.Push("delete container "+id, container.Delete)
	if err := container.Save(filepath.Join(place.parent, containersDir)); err != nil {
		return done(err)
	}
	if verbose {
		fmt.Fprintf(c.ErrOrStderr(), "container %s, init %d, cgroup %s\n", id, container.Pid(), groupPath(container))
	}
	return done(f.attend(c, container, watch))
}

// needsNoRoot refuses what only root can have.
func (f *containerFlags) needsNoRoot() error {
	rung, err := f.parseRung()
	if err != nil || os.Geteuid() == 0 {
		return err
	}
	switch {
	case f.bundle != "": // it has no rung
	case !rung.Covers(spec.Namespaces):
		return misuse("--rung %s needs root: without it there are %s and %s", rung, spec.Namespaces, spec.Hardened)
	case rung == spec.Limits:
		return misuse("--rung %s needs root, as limits are a cgroup's: without it there are %s and %s", rung, spec.Namespaces, spec.Hardened)
	}
	if f.memory != "" || f.cpus != 0 || f.pids != 0 {
		return misuse("--memory, --cpus and --pids need a cgroup, and that needs root")
	}
	return nil
}

// unlimited says what a container without a cgroup lacks, and refuses one whose bundle wants it.
func unlimited(out io.Writer, f *containerFlags, s *specs.Spec) error {
	limits, err := cgroup.LimitsFromSpec(s.Linux.Resources)
	if err != nil {
		return misuse("%w", err)
	}
	rung, err := f.parseRung()
	switch {
	case err != nil:
		return err
	case !limits.IsZero():
		return misuse("--bundle %s has linux.resources, which need a cgroup: run it with sudo", f.bundle)
	case f.bundle == "" && rung.Covers(spec.Limits):
		fmt.Fprintln(out, "cellwall: without root there is no cgroup: nothing limits memory, CPU or tasks")
	}
	return nil
}

// seclude closes the directory of a container's root to all but the container's own root: the
// host's users may not run what the container plants there (CVE-2021-41103).
func seclude(dir string, s *specs.Spec) error {
	group := os.Getegid()
	if len(s.Linux.GIDMappings) > 0 {
		group = int(s.Linux.GIDMappings[0].HostID)
	}
	if err := errors.Join(os.Chown(dir, -1, group), os.Chmod(dir, 0o710)); err != nil { // the group passes
		return fmt.Errorf("close the directory of the root: %w", err)
	}
	return nil
}

// attend starts the container and stays with it to its end.
func (f *containerFlags) attend(c *cobra.Command, container *core.Container, watch bool) error {
	streams, err := connect(container.Console, c.InOrStdin(), c.OutOrStdout())
	if err != nil {
		return err
	}
	defer streams.close()
	if err := container.Start(c.Context()); err != nil {
		if err = notStarted(err); errors.Is(err, os.ErrNotExist) && len(f.fromHost) > 0 {
			err = coded{exitNoEntry, fmt.Errorf("%w: --from-host has %s", err, strings.Join(f.fromHost, ","))}
		}
		return err
	}
	if watch {
		stop := watchGroup(c.ErrOrStderr(), container.Group())
		defer stop()
	}
	status, err := container.Wait(c.Context())
	if err != nil {
		return endedBy(c.Context(), err)
	}
	streams.drain()
	if code := status.Shell(); code != 0 {
		return coded{code, nil}
	}
	return nil
}

// notStarted gives the exit codes of a shell for a program that is not there (127) or may not be
// executed (126).
func notStarted(err error) error {
	var step *core.StepError
	if !errors.As(err, &step) || step.Step.ID != "exec" {
		return err
	}
	if errors.Is(err, os.ErrNotExist) {
		return coded{exitNoEntry, err}
	}
	return coded{exitNoAccess, err}
}

// place is where a container of this invocation lives.
type place struct {
	parent, name, dir string
	groups            core.Groups
}

// takePlace takes a lease and looks for a cgroup to be in. An unprivileged caller leases in its
// own directory and has no cgroup unless one was delegated to it.
func takePlace(undo *cleanup.Stack) (place, error) {
	parent, err := leases()
	if err != nil {
		return place{}, err
	}
	if os.Geteuid() == 0 {
		unix.Umask(0o022) // a mapped root must pass to what is made for it; the program gets its spec's
	}
	held, err := lease.Take(parent)
	if err != nil {
		return place{}, err
	}
	p := place{parent: parent}
	undo.Push("give back the lease", held.Close)
	p.name, p.dir = held.Name, held.Dir
	if os.Geteuid() != 0 {
		return p, nil
	}
	if p.dir, err = held.Unrestricted(lease.OnDisk); err != nil {
		return p, err
	}
	tree, err := cgroup.Find()
	if err != nil {
		return p, fmt.Errorf("%w: cellwall doctor says what this host has", err)
	}
	undo.Push("close the cgroup tree", tree.Close)
	p.groups = tree
	return p, nil
}

// leases is where this caller's leases are. One without root has a directory of its own: where all may
// write to its parent, another user could have made it first.
func leases() (string, error) {
	if os.Geteuid() == 0 {
		return lease.Default, nil
	}
	dir := ownLeases()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make a directory for leases: %w", err)
	}
	return dir, checkOwn(dir)
}

// ownLeases is where those of a caller without root are.
func ownLeases() string {
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		return filepath.Join(runtime, "cellwall")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("cellwall-of-%d", os.Geteuid()))
}

// checkOwn refuses a directory that others could have made or may write to.
func checkOwn(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s is not a directory of this user's alone: remove it, or set XDG_RUNTIME_DIR", dir)
	}
	return nil
}

// outFile gives the stream to the container as it is, where it is a file.
func outFile(w io.Writer) *os.File {
	f, _ := w.(*os.File)
	return f
}

func groupPath(c *core.Container) string {
	if c.Group() == nil {
		return "of the caller"
	}
	var paths []string
	for _, h := range c.Group().Hierarchies() {
		paths = append(paths, h.Path)
	}
	return strings.Join(paths, ", ")
}

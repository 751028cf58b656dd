package command

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"cellwall/runtime/core"
	"cellwall/runtime/lease"
)

func newExec() *cobra.Command {
	var env []string
	var cwd string
	var stdin, terminal bool
	c := &cobra.Command{
		Use:   "exec [flags] CONTAINER -- PROGRAM [ARGUMENT...]",
		Short: "run a program in a container that runs",
		Long: "exec runs a program in a container that `cellwall run --id CONTAINER` has made, confined exactly as it is.\n\n" +
			"The exit status is as that of run.",
		Example: "  sudo cellwall exec web -- ls /\n  sudo cellwall exec -it web -- bash",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 && args[1] == "--" {
				args = slices.Delete(args, 1, 2) // flags end at the container's name, so it stays
			}
			if len(args) < 2 {
				return misuse("want a container and a program: cellwall exec CONTAINER -- PROGRAM")
			}
			if err := core.ValidID(args[0]); err != nil {
				return misuse("%w", err)
			}
			if err := needRoot("exec joins namespaces"); err != nil {
				return err
			}
			entry, err := findContainer(args[0])
			if err != nil {
				return err
			}
			if err := core.Seal(); err != nil {
				return done(err)
			}
			launcher, err := core.NewLauncher(core.LauncherOptions{OneShot: true})
			if err != nil {
				return done(err)
			}
			defer launcher.Close() //nolint:errcheck // it only ends threads
			p := core.DefaultProcess(entry.Spec, args[1:])
			if p.Env, err = setEnv(p.Env, env); err != nil {
				return err
			}
			p.Terminal = terminal
			if err := setDirectory(p, cwd); err != nil {
				return err
			}
			return done(execIn(c, launcher, core.Joining{
				ID: entry.ID, Pid: entry.Pid, StartTime: entry.StartTime, Spec: entry.Spec, Process: p,
			}, stdin))
		},
	}
	c.Flags().SetInterspersed(false)
	c.Flags().StringArrayVar(&env, "env", nil, "NAME=VALUE, added to the environment")
	c.Flags().StringVar(&cwd, "cwd", "", "working directory in the container")
	c.Flags().BoolVarP(&stdin, "interactive", "i", false, "connect standard input")
	c.Flags().BoolVarP(&terminal, "tty", "t", false, "give the program a terminal")
	return starts(c)
}

// findContainer finds one that cellwall run --id has made.
func findContainer(id string) (*core.Entry, error) {
	entry, err := core.Find(filepath.Join(lease.Default, containersDir), id)
	if errors.Is(err, os.ErrNotExist) {
		return nil, misuse("no container %s runs here: cellwall run --id %s makes one", id, id)
	}
	if err != nil {
		return nil, done(err)
	}
	return entry, nil
}

func execIn(c *cobra.Command, l *core.Launcher, j core.Joining, stdin bool) (err error) {
	if stdin || j.Process.Terminal {
		j.Stdin, _ = c.InOrStdin().(*os.File)
	}
	j.Stdout, j.Stderr = outFile(c.OutOrStdout()), outFile(c.ErrOrStderr())
	process, err := l.Exec(c.Context(), j)
	if err != nil {
		return notStarted(err)
	}
	defer func() { err = errors.Join(err, process.Close()) }()
	streams, err := connect(process.Console, c.InOrStdin(), c.OutOrStdout())
	if err != nil {
		return err
	}
	defer streams.close()
	status, err := process.Wait(c.Context())
	if err != nil {
		return endedBy(c.Context(), err)
	}
	streams.drain()
	if code := status.Shell(); code != 0 {
		return coded{code, nil}
	}
	return nil
}

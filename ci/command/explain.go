package command

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/lease"
)

func newExplain() *cobra.Command {
	var f containerFlags
	c := &cobra.Command{
		Use:     "explain [flags] -- PROGRAM [ARGUMENT...]",
		Short:   "show the system calls that would make a container, and the barrier each serves",
		Long:    "explain takes the flags of run and prints the plan: one line for each system call of the container's child,\nwith the barrier that it builds. It makes nothing but the root directory that the flags ask for, and removes it again.",
		Example: "  cellwall explain --rung namespaces --from-host true -- true\n  cellwall explain --from-host bash -- bash",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) (err error) {
			var undo cleanup.Stack
			defer func() { err = errors.Join(err, done(undo.Close())) }()
			dir, err := os.MkdirTemp("", lease.Prefix+"explain-")
			if err != nil {
				return done(fmt.Errorf("make a directory for the root, below TMPDIR: %w", err))
			}
			undo.Push("remove the directory", func() error { return os.RemoveAll(dir) })
			s, err := f.build(dir, args, &undo)
			if err != nil {
				return done(err)
			}
			return done(explain(c.OutOrStdout(), s))
		},
	}
	f.add(c)
	return c
}

func explain(w io.Writer, s *specs.Spec) error {
	launcher, err := core.NewLauncher(core.LauncherOptions{OneShot: true})
	if err != nil {
		return err
	}
	plan, err := core.Compile(core.Request{Spec: s, Host: launcher.Host()})
	if err := errors.Join(err, launcher.Close()); err != nil {
		return err
	}
	return plan.Explain(w)
}

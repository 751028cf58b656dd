package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"cellwall/bench"
	"cellwall/bench/worker"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// newBenchWorker is the hidden command that takes samples for cellwall bench.
func newBenchWorker() *cobra.Command {
	var o worker.Options
	var rung string
	c := &cobra.Command{
		Use:    worker.Command,
		Hidden: true,
		Short:  "take samples for cellwall bench, which talks to it over its standard streams",
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Runtime != bench.HostName && o.Limit == "" {
				if err := driver.Check(o.Runtime); err != nil {
					return misuse("--runtime: %w", err)
				}
			}
			var err error
			if o.Rung, err = spec.ParseRung(rung); err != nil {
				return misuse("%w", err)
			}
			return done(worker.Serve(c.Context(), c.InOrStdin(), c.OutOrStdout(), o))
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.Runtime, "runtime", driver.CoreName, fmt.Sprintf("%s or %s", driver.Forms(), bench.HostName))
	flags.StringVar(&rung, "rung", string(spec.Hardened), "the rung of the ladder")
	flags.StringVar(&o.Limit, "limit", "", "the program of runtime/core/testdata/limit.c in place of a runtime")
	return c
}

package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"cellwall/bench"
	"cellwall/bench/worker"
	"cellwall/runtime/driver"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
)

// newBenchWorker is the hidden command that takes samples for cellwall bench.
func newBenchWorker() *cobra.Command {
	var o worker.Options
	var rung string
	var hold int
	c := &cobra.Command{
		Use:    bench.WorkerCommand,
		Hidden: true,
		Short:  "take samples for cellwall bench, which talks to it over its standard streams",
		Args:   noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Runtime != bench.HostName && o.Limit == "" {
				if err := driver.Check(o.Runtime); err != nil {
					return misuse("--runtime: %w", err)
				}
			}
			o.Rung = spec.Rung(rung)
			if _, err := spec.ParseRung(rung); err != nil && o.Rung != spec.Sandbox {
				return misuse("%w", err)
			}
			if hold > 0 {
				return done(bench.Hold(c.Context(), c.InOrStdin(), c.OutOrStdout(), lease.Default, o.Rung, hold))
			}
			return done(worker.Serve(c.Context(), c.InOrStdin(), c.OutOrStdout(), o))
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.Runtime, "runtime", driver.CoreName, fmt.Sprintf("%s or %s", driver.Forms(), bench.HostName))
	flags.StringVar(&rung, "rung", string(spec.Hardened), "the rung of the ladder")
	flags.StringVar(&o.Limit, "limit", "", "the program of runtime/core/testdata/limit.c in place of a runtime")
	flags.IntVar(&hold, "hold", 0, "take no samples but hold so many idle containers of the core until standard input ends")
	return c
}

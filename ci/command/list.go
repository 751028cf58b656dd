package command

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cellwall/suites/guarantee"
)

func newList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "list the guarantees of the catalogue",
		Long:  "list shows every guarantee: its id, the rung that must hold it, the barrier that carries it, and the claim.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, g := range guarantee.All() {
				if _, err := fmt.Fprintf(w, "%s\t%s\t%s\ta container %s\n", g.ID, g.Rung, g.Barrier, g.Claim); err != nil {
					return done(err)
				}
			}
			return done(w.Flush())
		},
	}
}

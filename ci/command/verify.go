package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/claim"
	"cellwall/suites/guarantee"
)

func newVerify() *cobra.Command {
	var f tourFlags
	var rung string
	formats := func(t render.Text) []format { return append(verifyFormats(t), records()) }
	c := &cobra.Command{
		Use:   "verify",
		Short: "attack a container and say which guarantees held",
		Long: "verify tries every guarantee of the catalogue that the rung claims: a control without the barrier,\n" +
			"which the witness must see breach, the attack on the barrier alone, and the attack on the real container.\n\n" +
			"Several runtimes are verified one after another, and a table shows where they differ. With --runtime all\n" +
			"those that are not on this host, or start no container here, are named and left out;\n" + requireVariable + "=runc,crun makes that an error.\n\n" +
			"Exit status: 0 no claimed guarantee was breached or is in doubt, 1 one was breached, 2 wrong use, 3 inconclusive or our own failure.",
		Example: "  sudo cellwall verify\n  sudo cellwall verify --only 'pids.*' -v\n  sudo cellwall verify --out out --format text,junit\n" +
			"  sudo cellwall verify --runtime core,runc\n  sudo cellwall verify --runtime all --out out --format text,sarif",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if rung != "" && rung != string(spec.Sandbox) {
				if _, err := spec.ParseRung(rung); err != nil {
					return misuse("%w", err)
				}
			}
			formats := formats(f.text(c.OutOrStdout()))
			if err := f.check(formats); err != nil {
				return err
			}
			rungs := func(rt driver.Runtime) []spec.Rung {
				asked, floor := cmp.Or(spec.Rung(rung), claim.DefaultRung(rt)), rt.Floor()
				if asked == spec.Sandbox && !driver.Sandboxed(rt) {
					fmt.Fprintf(c.ErrOrStderr(), "%s makes no sandbox: it is verified at %s\n", rt.Name(), claim.DefaultRung(rt))
					asked = claim.DefaultRung(rt)
				}
				if !asked.Covers(floor) {
					fmt.Fprintf(c.ErrOrStderr(), "%s makes no container at %s: it is verified at %s\n", rt.Name(), asked, floor)
					asked = floor
				}
				return []spec.Rung{asked}
			}
			found, err := f.tour(c, rungs, func(r spec.Rung, g *guarantee.Guarantee) bool { return r.Covers(g.Rung) })
			if err != nil {
				return done(err)
			}
			if err := f.write(c.OutOrStdout(), found.report, formats); err != nil {
				return done(err)
			}
			return found.exit()
		},
	}
	f.add(c, formats(render.Text{}))
	c.Flags().BoolVar(&f.strict, "strict", false, "claim for the runtime all that its rung has, also what it does not claim or is known to break")
	c.Flags().StringVar(&rung, "rung", "", fmt.Sprintf("the rung of the ladder to verify, one of %s, %s; by default the highest that the runtime is made for", strings.Join(rungNames(), ", "), spec.Sandbox))
	complete(c, "rung", append(rungNames(), string(spec.Sandbox)))
	return c
}

package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// complete gives the shell the values of a flag.
func complete(c *cobra.Command, flag string, values []string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		// Only a flag that is not there gives an error: a defect that every run would show.
		panic(fmt.Sprintf("complete --%s: %v", flag, err))
	}
}

func ids() []string {
	var list []string
	for _, g := range guarantee.All() {
		list = append(list, g.ID)
	}
	for _, group := range guarantee.Groups() {
		list = append(list, group+".*")
	}
	return list
}

func rungNames() []string {
	var list []string
	for _, r := range spec.Ladder() {
		list = append(list, string(r))
	}
	return list
}

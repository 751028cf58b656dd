package command

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cellwall/reports/history"
	"cellwall/reports/render"
)

func newHistoryCheck() *cobra.Command {
	var from, ack string
	c := &cobra.Command{
		Use:   "check DIR",
		Short: "find where the level of a benchmark has changed, and fail if it is for the worse",
		Long: "check reads all runs of a history and looks in each series (a benchmark on a runtime at a rung, on hosts of one class)\n" +
			"for changes of the ratio to the control that stay. It takes at least 5 runs after a change, and\n" +
			fmt.Sprintf("%d in all, to tell.\n\n", history.MinRuns) +
			"Exit status: 0 nothing has become worse, or it is known, 1 something has, 2 wrong use, 3 a file cannot be read.",
		Example: "  cellwall history check history\n  cellwall history check history --since 2026-11-01 --ack history/known.yaml",
		Args:    needs(false, "check DIR"),
		RunE:    func(c *cobra.Command, args []string) error { return checkHistory(c, args[0], from, ack) },
	}
	c.Flags().StringVar(&from, "since", "", fmt.Sprintf("the run, or the date, from which on changes are asked for; by default the newest %d runs", history.Newest))
	c.Flags().StringVar(&ack, "ack", "", "YAML list of changes that are known, each with run, benchmark and reason")
	return c
}

func checkHistory(c *cobra.Command, dir, from, ack string) error {
	acks, err := readAcks(ack)
	if err != nil {
		return err
	}
	h, broken, err := loadHistory(c, dir)
	if err != nil {
		return err
	}
	if len(h.Runs) == 0 {
		return done(few(broken))
	}
	at, words, err := since(h, from)
	if err != nil {
		return err
	}
	r := render.History{Dir: dir, Runs: len(h.Runs), Asked: words, Notes: h.Notes}
	r.Series, err = h.Series([]string{"*"}, at)
	broken = few(broken, err)
	if r.Changes, err = history.Changes(r.Series, at); err != nil {
		return done(err)
	}
	if broken == nil { // without some of the runs nothing can be said of what is stale
		if err := h.Acknowledge(ack, r.Changes, acks); err != nil {
			return misuse("%w", err)
		}
	}
	switch {
	case len(r.Series) == 0 && broken != nil:
		return done(broken)
	case len(r.Series) == 0:
		return misuse("nothing was measured %s: the newest run of %s is of %s", words, dir, h.Runs[len(h.Runs)-1].Time.UTC().Format(time.DateTime))
	}
	f := outputFlags{}
	if err := render.HistoryText(c.OutOrStdout(), r, f.text(c.OutOrStdout())); err != nil {
		return done(err)
	}
	switch worse := r.Regressions(); {
	case broken != nil:
		return done(broken)
	case len(worse) > 0:
		return coded{exitBreached, fmt.Errorf("%s: see above; what is known goes into the file of --ack", count(len(worse), "regression"))}
	}
	return nil
}

func readAcks(file string) ([]history.Ack, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, misuse("--ack: %w", err)
	}
	acks, err := history.ParseAcks(file, text)
	if err != nil {
		return nil, misuse("--ack: %w", err)
	}
	return acks, nil
}

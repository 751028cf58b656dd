package judge

import (
	"errors"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/sentinel"
)

// TestConclude: a breach stands, whatever else went wrong, but a control has to break all that the
// row names before it is one.
func TestConclude(t *testing.T) {
	some := sentinel.Finding{Breached: true, Evidence: "a link was made", Intact: []string{"a rename"}}
	all := sentinel.Finding{Breached: true, Evidence: "a link was made"}
	none := sentinel.Finding{Evidence: "nothing", Intact: []string{"a link", "a rename"}}
	edit := &spec.Edit{Name: "no wall"}
	broken := errors.New("a pipe broke")
	for _, c := range []struct {
		name    string
		control *spec.Edit
		finding sentinel.Finding
		err     error
		want    record.Outcome
		reason  string
	}{
		{name: "a part is broken", finding: some, want: record.Breached},
		{name: "a part is broken and all goes wrong", finding: some, err: broken, want: record.Breached, reason: "a pipe broke"},
		{name: "nothing is broken", finding: none, want: record.Held},
		{name: "nothing is broken and all goes wrong", finding: none, err: broken, want: record.Inconclusive, reason: "a pipe broke"},
		{name: "it cannot be tried", finding: none, err: kernel.Unsupported("links"), want: record.Unsupported, reason: "links"},
		{name: "a control breaks all", control: edit, finding: all, want: record.Breached},
		{name: "a control breaks a part", control: edit, finding: some, want: record.Inconclusive, reason: "left: a rename"},
		{name: "a control breaks nothing", control: edit, finding: none, want: record.Held},
	} {
		one := trial{guarantee: &guarantee.Guarantee{ID: "fs.hardlink-host"}, edit: c.control}
		var r record.Trial
		if one.conclude(&r, c.finding, c.err); r.Outcome != c.want || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: %s: %s, want %s", c.name, r.Outcome, r.Reason, c.want)
		}
	}
}

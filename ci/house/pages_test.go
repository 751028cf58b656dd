package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/suites/guarantee"
)

var claimLine = regexp.MustCompile(`(?m)^- ([a-z]+\.[a-z0-9-]+): (a container .*)$`)

// TestPagesSayWhatTheCatalogueClaims: a page of docs/runtimes that was not made anew after a claim has changed
// may promise more than is tested; and one that was not after how a runtime is run has changed.
func TestPagesSayWhatTheCatalogueClaims(t *testing.T) {
	claims := map[string]string{}
	for _, g := range guarantee.All() {
		claims[g.ID] = "a container " + render.EscapeMarkdown(g.Claim)
	}
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "runtimes", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if how := driver.How(strings.TrimSuffix(filepath.Base(page), ".md")); !strings.Contains(string(text), how) {
			t.Errorf("%s says of how it is run something else than runtime/driver/how: make docs", filepath.Base(page))
		}
		for _, line := range claimLine.FindAllStringSubmatch(string(text), -1) {
			if said[line[1]] = true; line[2] != claims[line[1]] {
				t.Errorf("%s: %s: %q, but the catalogue says %q: make docs", filepath.Base(page), line[1], line[2], claims[line[1]])
			}
		}
	}
	if len(said) < len(claims)/2 {
		t.Errorf("only %d claims found in %d pages: the pattern or the pages are wrong", len(said), len(pages))
	}
}

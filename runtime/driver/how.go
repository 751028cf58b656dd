package driver

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed how/*.md
var how embed.FS

// How is what a page on a runtime says of how its driver runs it and what that cannot express: Markdown, in sections of
// the second level. It is empty for a runtime without how/NAME.md, of which the page says what its records have.
func How(name string) string {
	text, err := how.ReadFile(fmt.Sprintf("how/%s.md", Kind(name)))
	if err != nil { // there is none: nothing else goes wrong with what is in the program
		return ""
	}
	return strings.TrimSpace(string(text))
}

package core

import (
	"fmt"
	"io"
	"strings"
)

// Explain writes the plan as a person reads it: a line for each step with the barrier that it
// builds, after the clone3 call that makes the child. Drops from the bounding set are one line.
func (p *Plan) Explain(w io.Writer) error {
	lines := []line{{text: "clone3 " + flagText(p), barrier: barrierText(p.Flags)}}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.ID == "bounding-set" && i > 0 && p.Steps[i-1].ID == s.ID {
			lines[len(lines)-1].more++
			continue
		}
		lines = append(lines, line{number: i + 1, text: s.Text, barrier: s.Barrier})
	}
	width := 0
	for i := range lines {
		width = max(width, len(lines[i].String()))
	}
	for i := range lines {
		text := lines[i].String()
		if lines[i].barrier != "" {
			text = fmt.Sprintf("%-*s  %s", min(width, maxText), text, lines[i].barrier)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return fmt.Errorf("explain the plan: %w", err)
		}
	}
	return nil
}

// maxText is the column behind which barriers no longer line up.
const maxText = 72

type line struct {
	number, more  int
	text, barrier string
}

func (l line) String() string {
	text := l.text
	if l.more > 0 {
		text = fmt.Sprintf("%s, and %d more", text, l.more)
	}
	if l.number == 0 {
		return "     " + text
	}
	return fmt.Sprintf("%3d  %s", l.number, text)
}

func flagText(p *Plan) string {
	text := cloneText(p.Flags)
	if len(p.UIDMappings) > 0 {
		text += fmt.Sprintf(" (uid 0 is %d)", p.UIDMappings[0].HostID)
	}
	if p.PIDNamespace != "" {
		text += " in pid namespace " + p.PIDNamespace
	}
	return text
}

func cloneText(flags uint64) string {
	var names []string
	for _, t := range namespaceTypes {
		if flags&t.flag != 0 {
			names = append(names, string(t.name))
		}
	}
	if len(names) == 0 {
		return "no namespaces"
	}
	return "new " + strings.Join(names, ", ")
}

func barrierText(flags uint64) string {
	var names []string
	for _, t := range namespaceTypes {
		if flags&t.flag != 0 {
			names = append(names, string(t.name)+" namespace")
		}
	}
	return strings.Join(names, ", ")
}

package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
)

// EscapeTerminal makes visible what a terminal would act on or hide: control characters,
// invalid UTF-8, bidirectional controls and letters, and all that has no width or no ink of its
// own, as \n, \x1b, \u202e or \U000e0041. The answer is one line. A backslash stays as it is,
// so escaping twice changes nothing; the raw text is in the record.
func EscapeTerminal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case visible(r):
			b.WriteString(s[i : i+size])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// visible reports whether r is printed, alone in its cells, in the order of the text. Letters
// that are written from right to left are not: they reorder what stands beside them (UAX 9).
func visible(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' <= r && r <= '~'
	}
	const brailleBlank = 0x2800
	if r == brailleBlank || !unicode.IsPrint(r) ||
		unicode.In(r, unicode.Mn, unicode.Me, unicode.Other_Default_Ignorable_Code_Point) {
		return false
	}
	p, _ := bidi.LookupRune(r)
	switch p.Class() {
	case bidi.R, bidi.AL, bidi.AN:
		return false
	}
	return true
}

// EscapeMarkdown makes s plain text of one line in CommonMark and GitHub's and GitLab's
// dialects, also in a table's cell and at a line's start: no markup, no HTML, no link. It
// includes EscapeTerminal.
func EscapeMarkdown(s string) string {
	s = EscapeTerminal(s)
	var b strings.Builder
	digits := true // only digits so far: a dot or bracket now would make a list
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 0 && c == ' ':
			b.WriteString("&#32;") // four of them would make a code block
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '&':
			b.WriteString("&amp;")
		case c == '|' || c == '$': // a cell's end; mathematics, which heeds no backslash
			fmt.Fprintf(&b, "&#%d;", c)
		case strings.IndexByte("\\`*_[]~!@", c) >= 0,
			c == ':' && strings.HasPrefix(s[i:], "://"),
			i == 0 && strings.IndexByte("#+-=", c) >= 0,
			i > 0 && digits && (c == '.' || c == ')'),
			c == '.' && i > 0 && s[i-1]|0x20 == 'w': // www.
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
		digits = digits && '0' <= c && c <= '9'
	}
	return b.String()
}

// EscapeXML makes s character data or an attribute's value in XML and HTML, of one line. It
// includes EscapeTerminal, so nothing is left that XML cannot hold.
func EscapeXML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(EscapeTerminal(s))
}

// EscapeSARIF makes s a plain text message of SARIF 2.1.0, of one line: a brace starts a placeholder
// unless it is doubled (3.11.5), and "](" a link (3.11.6). It includes EscapeTerminal.
func EscapeSARIF(s string) string {
	return strings.NewReplacer("{", "{{", "}", "}}", "](", "] (").Replace(EscapeTerminal(s))
}

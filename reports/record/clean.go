package record

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// What Writer keeps of a verdict's texts, in bytes, and of its lists, in entries. The attacker
// of the whole rule matrix makes several hundred tries.
const (
	MaxText  = 4096 // evidence, reason, a leak, a command
	MaxCall  = 128  // a try's call
	MaxErrno = 32
	MaxTries = 1024
	MaxLeaks = 64
)

const cut = "[...]"

// Clean limits s to limit bytes. What it cuts ends in "[...]" where that fits, and never in part
// of a character. It changes nothing else: control characters stay, for whoever shows the text
// to escape (but JSON holds no invalid UTF-8: encoding/json writes U+FFFD for such a byte).
func Clean(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	keep, mark := max(limit, 0), ""
	if limit >= len(cut) {
		keep, mark = limit-len(cut), cut
	}
	for back := 0; back < utf8.UTFMax-1 && keep > 0 && !utf8.RuneStart(s[keep]); back++ {
		keep--
	}
	// The copy lets go of a text that may be much longer.
	return strings.Clone(s[:keep]) + mark
}

func (v Verdict) cleaned() Verdict {
	v.DeniedBy, v.Errno = Clean(v.DeniedBy, MaxCall), Clean(v.Errno, MaxErrno)
	v.Evidence, v.Reason = Clean(v.Evidence, MaxText), Clean(v.Reason, MaxText)
	v.Retried, v.Again = Clean(v.Retried, MaxText), Clean(v.Again, MaxText)
	v.Tries, v.Dropped = cleanTries(v.Tries, v.Dropped)
	v.Controls = slices.Clone(v.Controls)
	for i := range v.Controls {
		v.Controls[i] = v.Controls[i].cleaned()
	}
	if v.Control != nil {
		t := v.Control.cleaned()
		v.Control = &t
	}
	if v.Alone != nil {
		t := v.Alone.cleaned()
		v.Alone = &t
	}
	v.Leaks = cleanLeaks(v.Leaks)
	return v
}

func (t Trial) cleaned() Trial {
	t.DeniedBy, t.Errno = Clean(t.DeniedBy, MaxCall), Clean(t.Errno, MaxErrno)
	t.Evidence, t.Reason = Clean(t.Evidence, MaxText), Clean(t.Reason, MaxText)
	t.Tries, t.Dropped = cleanTries(t.Tries, t.Dropped)
	return t
}

func cleanTries(tries []Try, dropped int) ([]Try, int) {
	if len(tries) > MaxTries {
		dropped += len(tries) - MaxTries
		tries = tries[:MaxTries]
	}
	tries = slices.Clone(tries)
	for i, t := range tries {
		tries[i] = Try{Call: Clean(t.Call, MaxCall), Errno: Clean(t.Errno, MaxErrno)}
	}
	return tries, dropped
}

// cleanLeaks says in the last entry that it cut the list: unlike a try, an entry is free text.
func cleanLeaks(leaks []string) []string {
	more := len(leaks) > MaxLeaks
	if more {
		leaks = leaks[:MaxLeaks-1]
	}
	leaks = slices.Clone(leaks)
	for i, l := range leaks {
		leaks[i] = Clean(l, MaxText)
	}
	if more {
		leaks = append(leaks, cut)
	}
	return leaks
}

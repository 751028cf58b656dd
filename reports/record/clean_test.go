package record_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"cellwall/reports/record"
)

func TestCleanLimitsLengthOnly(t *testing.T) {
	tests := []struct {
		in    string
		limit int
		want  string
	}{
		{"", 0, ""},
		{"abc", 3, "abc"},
		{"\x1b[2J\xff\n", 10, "\x1b[2J\xff\n"},
		{"abcdefghij", 8, "abc[...]"},
		{"abcdefghij", 5, "[...]"},
		{"abcdefghij", 4, "abcd"},
		{"abcdefghij", 0, ""},
		{"abcdefghij", -1, ""},
		{"aé€𝄞bcdef", 10, "aé[...]"},  // 5 bytes to keep: a, é, and 2 of the 3 of €
		{"aé€𝄞bcdef", 11, "aé€[...]"}, // 6 bytes to keep
		{"\x80\x80\x80\x80\x80\x80\x80\x80", 7, "[...]"},
	}
	for _, tt := range tests {
		if got := record.Clean(tt.in, tt.limit); got != tt.want {
			t.Errorf("Clean(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("aé€𝄞bcdefghij", 9)
	f.Add("\xff\xff\xff\xff\xff", 2)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := record.Clean(s, limit)
		if len(got) > max(limit, 0) {
			t.Fatalf("%d bytes, limit %d", len(got), limit)
		}
		if len(s) <= limit && got != s {
			t.Fatalf("%q changed to %q", s, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Fatalf("%q was cut within a character: %q", s, got)
		}
		if !strings.HasPrefix(s, strings.TrimSuffix(got, "[...]")) && !strings.HasPrefix(s, got) {
			t.Fatalf("%q is not the start of %q", got, s)
		}
	})
}

// A hostile verdict must neither fail to be written nor fail to be read.
func TestWriterLimitsEveryHostileText(t *testing.T) {
	nul := strings.Repeat("\x00", 1<<20)
	tries := make([]record.Try, 3*record.MaxTries)
	for i := range tries {
		tries[i] = record.Try{Call: nul, Errno: nul}
	}
	leaks := make([]string, 3*record.MaxLeaks)
	for i := range leaks {
		leaks[i] = nul
	}
	trial := record.Trial{Outcome: record.Held, DeniedBy: nul, Errno: nul, Evidence: nul, Reason: nul, Tries: tries}
	v := record.Verdict{
		Guarantee: "g", Outcome: record.Held, DeniedBy: nul, Errno: nul, Evidence: nul, Reason: nul, Retried: nul, Again: nul,
		Tries: tries, Leaks: leaks, Control: &trial, Alone: &trial, Controls: []record.Trial{trial, trial, trial},
	}
	var b bytes.Buffer
	if err := record.NewWriter(&b).Verdict(v); err != nil {
		t.Fatal(err)
	}
	if len(v.Evidence) != 1<<20 || len(v.Control.Tries) != 3*record.MaxTries || len(v.Controls[0].Evidence) != 1<<20 || len(v.Leaks[0]) != 1<<20 || len(tries[0].Call) != 1<<20 {
		t.Error("the caller's verdict changed")
	}
	set, err := record.Read("x", &b)
	if err != nil {
		t.Fatal(err)
	}
	got := set.Verdicts[0]
	check := func(what, s string, limit int) {
		t.Helper()
		if len(s) == 0 || len(s) > limit {
			t.Errorf("%s holds %d bytes, limit %d", what, len(s), limit)
		}
	}
	for what, tr := range map[string]record.Trial{
		"verdict": {DeniedBy: got.DeniedBy, Errno: got.Errno, Evidence: got.Evidence, Reason: got.Reason, Tries: got.Tries, Dropped: got.Dropped},
		"control": *got.Control, "alone": *got.Alone, "controls": got.Controls[2],
	} {
		check(what+" evidence", tr.Evidence, record.MaxText)
		check(what+" reason", tr.Reason, record.MaxText)
		check(what+" denied by", tr.DeniedBy, record.MaxCall)
		check(what+" errno", tr.Errno, record.MaxErrno)
		if len(tr.Tries) != record.MaxTries || tr.Dropped != 2*record.MaxTries {
			t.Fatalf("%s: %d tries, %d dropped", what, len(tr.Tries), tr.Dropped)
		}
		check(what+" call", tr.Tries[0].Call, record.MaxCall)
		check(what+" errno of a try", tr.Tries[0].Errno, record.MaxErrno)
	}
	check("again", got.Again, record.MaxText)
	check("retried", got.Retried, record.MaxText)
	check("leak", got.Leaks[0], record.MaxText)
	if len(got.Leaks) != record.MaxLeaks || got.Leaks[record.MaxLeaks-1] != "[...]" {
		t.Errorf("%d leaks, the last %.20q", len(got.Leaks), got.Leaks[len(got.Leaks)-1])
	}
}

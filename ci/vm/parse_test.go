package vm

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"cellwall/ci/vm/guest"
)

// However the writes are cut, the same lines are kept.
func TestConsoleTail(t *testing.T) {
	var all strings.Builder
	for i := range 3 * tailLines {
		all.WriteString(strings.Repeat("x", i*10) + "\r\n")
	}
	all.WriteString("no end")
	var want []string
	for _, size := range []int{1 << 20, 1, 7} {
		c := &console{}
		for chunk := range slices.Chunk([]byte(all.String()), size) {
			if n, err := c.Write(chunk); n != len(chunk) || err != nil {
				t.Fatal(n, err)
			}
		}
		got, _ := c.tail()
		if want == nil {
			want = got
		}
		if len(got) != tailLines || got[tailLines-1] != "no end" || len(got[0]) != tailWidth || !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %d lines, the last %q", size, len(got), got[len(got)-1])
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[2J\x1bcSeaBIOS\r")
	f.Add("\xff\x00\u202e")
	f.Fuzz(func(t *testing.T, line string) {
		if got := clean(line); strings.ContainsFunc(got, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
			t.Errorf("%q", got)
		}
	})
}

// Whatever a guest sends, what was passed on is a prefix of what valid frames had.
func FuzzChannel(f *testing.F) {
	up := encode(guest.Frame{Kind: guest.Up, Release: "6"})
	f.Add([]byte(up + line(1, guest.Record, "a\n") + line(2, guest.Exit, "")))
	f.Add([]byte(up + up))
	f.Add([]byte(`{"seq":0,"kind":"up","data":"!"}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var records, out bytes.Buffer
		ups := 0
		c := &channel{records: &lines{to: &records}, stdout: &out, up: func(guest.Frame) { ups++ }}
		err := c.read(bytes.NewReader(text))
		if ups > 1 || ups == 0 && records.Len()+out.Len() > 0 {
			t.Errorf("%d frames up, and data", ups)
		}
		if b := records.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
			t.Errorf("half a record was passed on: %q", b)
		}
		if err == nil && c.exit != nil && len(c.records.part) > 0 {
			t.Error("the last record is cut and there is no error")
		}
	})
}

func TestRecordThatIsTooLong(t *testing.T) {
	l := &lines{to: io.Discard}
	piece := bytes.Repeat([]byte("x"), 1<<20)
	var err error
	for range maxRecord/len(piece) + 1 {
		if err != nil {
			t.Fatalf("early: %v", err)
		}
		err = l.write(piece)
	}
	if err == nil || !strings.Contains(err.Error(), "longer than 16777216 bytes") {
		t.Error(err)
	}
}

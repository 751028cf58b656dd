package render_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"cellwall/reports/render"
)

func ladderSVG(t *testing.T, r render.Report) []byte {
	t.Helper()
	return bytesOf(t, func(b *bytes.Buffer) error { return render.LadderSVG(b, r) })
}

func TestLadderSVGMatchesGolden(t *testing.T) { golden(t, "ladder.svg", ladderSVG(t, climbed())) }

// elements counts an XML document's elements and fails where it is no XML.
func elements(t *testing.T, doc []byte) map[string]int {
	t.Helper()
	n := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(doc))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%s", err, doc)
		}
		if e, ok := token.(xml.StartElement); ok {
			n[e.Name.Local]++
		}
	}
}

func TestLadderSVGHasATitleForEachCell(t *testing.T) {
	doc := ladderSVG(t, climbed())
	for _, want := range []string{
		"<title>fs.dotdot at bare: breached</title>",
		"<title>fs.dotdot at chroot: held</title>",
		"<title>syscall.i386-abi at bare: not tried</title>",
		"<title>bare: 1 of 74 held, 71 breached, 2 neither</title>",
	} {
		if !bytes.Contains(doc, []byte(want)) {
			t.Errorf("no %s", want)
		}
	}
	one := climbed()
	one.Verdicts = one.Verdicts[:1]
	if doc := ladderSVG(t, one); !bytes.Contains(doc, []byte(">1 guarantee. At ")) {
		t.Errorf("one guarantee is described as %.400s", doc)
	}
	rows := len(climbedRows())
	if got, want := bytes.Count(doc, []byte(" at ")), 5*rows; got < want {
		t.Errorf("%d cells have a title, want %d", got, want)
	}
	if elements(t, doc)["script"]+elements(t, doc)["a"]+elements(t, doc)["image"] > 0 {
		t.Error("a drawing must load nothing")
	}
	if strings.Contains(string(doc), "ZgotmplZ") || strings.Contains(string(doc), "<no value>") {
		t.Error("the template was not filled")
	}
}

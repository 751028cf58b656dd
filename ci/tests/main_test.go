package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: needs root\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`

func TestCountsAndReasons(t *testing.T) {
	var out bytes.Buffer
	if err := run(strings.NewReader(events), &out, ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"skipped: p TestA: needs root", "1 passed, 0 failed, 1 skipped"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestWhatFails(t *testing.T) {
	list := func(text string) string {
		path := filepath.Join(t.TempDir(), "skips")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ name, in, skips, want string }{
		{name: "a failed test", in: events + `{"Action":"output","Package":"p","Test":"TestC","Output":"broken\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestC"}`, want: "tests failed"},
		{name: "a package that does not build", in: events + `{"Action":"build-output","ImportPath":"q","Output":"undefined\n"}` + "\n" + `{"Action":"fail","Package":"q"}`, want: "tests failed"},
		{name: "nothing at all", in: "", want: "nothing was tested"},
		{name: "an unexpected skip", in: events, skips: list("# none\n"), want: "unexpected skip: p TestA"},
		{name: "a skip of the same start", in: events, skips: list("p TestAB reason\n"), want: "unexpected skip"},
		{name: "a package that does not end", in: events + `{"Action":"start","Package":"q"}` + "\n" + `{"Action":"pass","Package":"q","Test":"TestD"}`, want: "q began and did not end"},
		{name: "a list without reasons", in: events, skips: list("p TestA\n"), want: "reason"},
		{name: "no list", in: events, skips: "/nonexistent", want: "no such file"},
	} {
		var out bytes.Buffer
		if err := run(strings.NewReader(c.in), &out, c.skips); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := run(strings.NewReader(events), &bytes.Buffer{}, list("p TestA needs root\n")); err != nil {
		t.Errorf("an expected skip: %v", err)
	}
	var out bytes.Buffer
	err := run(strings.NewReader(events), &out, list("p TestA why\np TestZ why\n"))
	if want := "did not skip here"; err != nil || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "p TestZ") {
		t.Errorf("an expected skip that does not happen: %v, want %q in\n%s", err, want, &out)
	}
}

// TestATestThatDoesNotEnd is told with what it wrote, as that time has run out, and a test of another package is not.
func TestATestThatDoesNotEnd(t *testing.T) {
	var out bytes.Buffer
	err := run(strings.NewReader(events+`{"Action":"output","Package":"q","Test":"TestC","Output":"panic: test timed out\n"}
{"Action":"output","Package":"qq","Test":"TestD","Output":"of another\n"}
{"Action":"fail","Package":"q"}
`), &out, "")
	if err == nil || !strings.Contains(out.String(), "fail    0.0 s  q\npanic: test timed out\n") || strings.Contains(out.String(), "another") {
		t.Errorf("%v:\n%s", err, &out)
	}
}

// TestGoTestItselfFails: its events may be all right, or none.
func TestGoTestItselfFails(t *testing.T) {
	read := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	if err := tests([]string{"-run", "^$", "."}, read); err != nil {
		t.Error(err)
	}
	if err := tests([]string{"./nosuch"}, read); err == nil || !strings.Contains(err.Error(), "go test: exit status 1") {
		t.Errorf("got %v", err)
	}
}

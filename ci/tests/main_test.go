package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const events = `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: needs root\n"}
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
		{name: "an expected skip that does not happen", in: events, skips: list("p TestA why\np TestZ why\n"), want: "TestZ did not skip"},
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
}

package command

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

// stored writes the records of a run with the given runtimes and returns the file.
func stored(t *testing.T, change func(*render.Report), runtimes ...string) string {
	t.Helper()
	r := render.Report{Run: record.Run{ID: "cellwall-r1", Kernel: "6.1", CgroupMode: "v2"}}
	for _, rt := range runtimes {
		r.Run.Runtimes = append(r.Run.Runtimes, record.Runtime{Name: rt, Version: "1", Lacks: []string{"the host's time namespace"}})
		for _, id := range []string{"fs.dotdot", "time.offset"} {
			v := record.Verdict{
				Run: "cellwall-r1", Guarantee: id, Group: id[:strings.Index(id, ".")], Claim: "cannot \x1b[2J", Runtime: rt, RuntimeVersion: "1", Rung: "hardened", Claimed: true,
				Outcome: record.Held, Control: &record.Trial{On: rt, Outcome: record.Breached}, Alone: &record.Trial{On: rt, Outcome: record.Held},
			}
			if id == "time.offset" && rt != "core" {
				v.Claimed, v.Outcome, v.Exception = false, record.Breached, &record.Exception{Reason: "it makes no time namespace"}
			}
			r.Verdicts = append(r.Verdicts, v)
		}
	}
	r.Run.Asked = len(r.Verdicts)
	if change != nil {
		change(&r)
	}
	path := filepath.Join(t.TempDir(), "records.jsonl")
	if err := writeFile(path, r, writeRecords); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReport(t *testing.T) {
	path := stored(t, nil, "core", "oci:/opt/../moon")
	code, out, errs := call(t, "report", path)
	if code != 0 || errs != "" || !strings.Contains(out, "1 of 2 guarantees are the same on all\n") || strings.Contains(out, "\x1b") {
		t.Errorf("exit status %d, %q\n%s", code, errs, out)
	}
	dir := filepath.Join(t.TempDir(), "new", "dir")
	code, out, errs = call(t, "report", path, "--format", "text,markdown,junit,sarif,page", "--out", dir)
	if code != 0 || errs != "" || !strings.HasPrefix(out, "core 1 at hardened on ") {
		t.Errorf("exit status %d, %q\n%s", code, errs, out)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	starts := map[string]string{
		"core.md": "# core\n", "oci-opt-..-moon.md": "# oci:/opt/../moon\n", "report.md": "# Isolation report\n",
		"junit.xml": "<?xml", "report.sarif": "{\n  \"$schema\"",
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := starts[e.Name()]; !ok || !bytes.HasPrefix(text, []byte(want)) || bytes.Contains(text, []byte{0x1b}) {
			t.Errorf("%s starts with %.40q, want %q", e.Name(), text, want)
		}
		delete(starts, e.Name())
	}
	if len(starts) > 0 {
		t.Errorf("missing: %v", starts)
	}
}

// Every format goes to stdout where there is no --out, pages one after another; the records that
// were read are never written.
func TestReportToStdout(t *testing.T) {
	path := stored(t, nil, "core", "runc")
	for format, want := range map[string]string{"markdown": "# Isolation report", "junit": "<testsuites", "sarif": `"2.1.0"`, "page": "# runc\n"} {
		code, out, errs := call(t, "report", path, "--format", format)
		if code != 0 || errs != "" || !strings.Contains(out, want) {
			t.Errorf("%s: exit status %d, %q, no %q in\n%s", format, code, errs, want, out)
		}
	}
}

// The words of the catalogue come into the rules.
func TestReportKnowsTheCatalogue(t *testing.T) {
	_, out, _ := call(t, "report", stored(t, nil, "core"), "--format", "sarif")
	if !strings.Contains(out, rules()["fs.dotdot"].Barrier) || !strings.Contains(out, "Source: ") {
		t.Errorf("no barrier %q in\n%s", rules()["fs.dotdot"].Barrier, out)
	}
}

// A file from which no report can be made is one line, and nothing is written.
func TestReportOnABrokenFile(t *testing.T) {
	whole, err := os.ReadFile(stored(t, nil, "core"))
	if err != nil {
		t.Fatal(err)
	}
	run, verdicts, _ := strings.Cut(string(whole), "\n")
	for name, c := range map[string]struct{ text, want string }{
		"empty":          {"", "it holds no records"},
		"blank":          {"\n\n", "it holds no records"},
		"a line is cut":  {string(whole[:len(whole)-40]), ".jsonl:3: parse record: unexpected end of JSON input: the line is cut short: remove it to see the rest"},
		"another schema": {strings.Replace(string(whole), "cellwall/1", "cellwall/9", 1), `.jsonl:1: schema "cellwall/9"`},
		"no records":     {"\x7fELF\x00", ".jsonl:1: parse record"},
		"only verdicts":  {verdicts, "lost its start"},
		"only a run":     {run + "\n", "no verdict"},
		"two runs":       {run + "\n" + string(whole), "2 runs"},
		"twice":          {string(whole) + verdicts, "two verdicts"},
		"another's":      {strings.Replace(string(whole), `"run":"cellwall-r1"`, `"run":"x"`, 1), `run "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.jsonl")
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "out")
			code, out, errs := call(t, "report", path, "--format", "page", "--out", dir)
			if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) || !strings.Contains(errs, "a.jsonl") {
				t.Errorf("exit status %d, %q, %q, want %q", code, out, errs, c.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("--out was made")
			}
		})
	}
}

// A run that was stopped is written as far as it came, and said to be no whole one.
func TestReportOnAStoppedRun(t *testing.T) {
	path := stored(t, func(r *render.Report) { r.Run.Asked = 5 }, "core", "runc")
	code, out, errs := call(t, "report", path)
	if code != exitInconclusive || !strings.Contains(out, "runc on 6.1") || !strings.HasSuffix(errs, "records.jsonl: the run was stopped after 4 of 5 guarantees\n") {
		t.Errorf("exit status %d, %q\n%s", code, errs, out)
	}
}

// A page is of one rung: the records of a ladder are refused, and so is what would overwrite itself.
func TestReportRefusesPages(t *testing.T) {
	ladder := stored(t, func(r *render.Report) { r.Verdicts[1].Guarantee, r.Verdicts[1].Rung = "fs.dotdot", "bare" }, "core")
	if code, _, errs := call(t, "report", ladder, "--format", "page", "--out", t.TempDir()); code != exitInconclusive || !strings.Contains(errs, "one rung") {
		t.Errorf("exit status %d, %q", code, errs)
	}
	dir := t.TempDir()
	if code, _, errs := call(t, "report", stored(t, nil, "oci:/a", "oci:a"), "--format", "page", "--out", dir); code != exitInconclusive || !strings.Contains(errs, "oci-a.md") {
		t.Errorf("exit status %d, %q", code, errs)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestFileName(t *testing.T) {
	for runtime, want := range map[string]string{
		"core": "core", "systemd-nspawn": "systemd-nspawn", "oci:/usr/bin/youki": "oci-usr-bin-youki", "../../x": "x", "..": "unnamed", ".x": "x",
		"": "unnamed", "/": "unnamed", "a\x00\x1b\n b": "a-b", "漢": "unnamed",
	} {
		got := fileName(runtime)
		if got != want {
			t.Errorf("%q: %q, want %q", runtime, got, want)
		}
		if strings.ContainsAny(got, "/\x00") || strings.HasPrefix(got, ".") {
			t.Errorf("%q: %q leads elsewhere", runtime, got)
		}
	}
}

// The stored formats are those of verify without the records themselves.
func TestFormatsAreShared(t *testing.T) {
	names := formatNames(verifyFormats(render.Text{}))
	if !slices.Equal(names, []string{"text", "markdown", "junit", "sarif", "page"}) {
		t.Errorf("got %v", names)
	}
}

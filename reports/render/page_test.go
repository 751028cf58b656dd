package render_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func page(t *testing.T, r render.Report) string {
	t.Helper()
	return string(bytesOf(t, func(b *bytes.Buffer) error { return render.Page(b, r, noHow) }))
}

func noHow(string) string { return "" }

func TestPageMatchesGoldens(t *testing.T) {
	for _, r := range append(compared().ByRuntime(), verified()) {
		name := r.Verdicts[0].Runtime
		if len(r.Run.Runtimes[0].Lacks) == 0 && len(r.Verdicts) == 10 {
			name = "verified"
		}
		golden(t, "page-"+name+".md", []byte(page(t, r)))
	}
}

// What is new in every run does not come into a page: it must not change without a reason.
func TestPageIsStable(t *testing.T) {
	one := func(id, trial, number string) render.Report {
		r := compared().ByRuntime()[2]
		r.Run.ID, r.Run.BootID, r.Elapsed, r.Run.MemoryBytes = id, id, 1, 7
		for i := range r.Verdicts {
			v := &r.Verdicts[i]
			v.Run, v.Evidence, v.Duration = id, "process "+number, 12345
			v.Reason = "crun cannot show /sys/fs/cgroup/" + number + "/" + id + "/" + id + "-" + trial + "-outer: process " + number +
				" (/proc/" + number + "/ns) keeps '/dev/shm/" + id + "/" + id + "-" + trial + "/oci-" + number + "00/state//" + id + "-" + trial + "-out', " + id
			if i == 0 {
				v.Outcome, v.Leaks = record.Held, []string{"mount /tmp/" + id} // they are in the records
			}
		}
		return r
	}
	first, second := page(t, one("cellwall-abc123", "17", "47110")), page(t, one("cellwall-zzzz", "4", "123456"))
	if first != second {
		t.Errorf("differs from run to run:\n%s\n%s", first, second)
	}
	want := "crun cannot show TRIAL-outer: process N (/proc/N/ns) keeps 'TRIAL-out', RUN"
	if !strings.Contains(first, want) {
		t.Errorf("no %q in\n%s", want, first)
	}
	if strings.Contains(page(t, compared().ByRuntime()[0]), "some.slice") {
		t.Error("a path of this machine")
	}
}

// A real change changes the page.
func TestPageChanges(t *testing.T) {
	was := page(t, compared().ByRuntime()[1])
	for name, change := range map[string]func(*render.Report){
		"outcome":   func(r *render.Report) { r.Verdicts[0].Outcome = record.Breached },
		"proof":     func(r *render.Report) { r.Verdicts[0].Control = nil },
		"version":   func(r *render.Report) { r.Verdicts[0].RuntimeVersion = "1.2" },
		"kernel":    func(r *render.Report) { r.Run.Kernel = "6.19" },
		"cgroups":   func(r *render.Report) { r.Run.CgroupMode = "v2" },
		"reason":    func(r *render.Report) { r.Verdicts[3].Reason = "the host has no swap" },
		"why":       func(r *render.Report) { r.Verdicts[1].Exception.Reason = "it is so" },
		"source":    func(r *render.Report) { r.Verdicts[1].Exception.Source = "CVE" },
		"advice":    func(r *render.Report) { r.Verdicts[1].Exception.Advice = "update" },
		"lacks":     func(r *render.Report) { r.Run.Runtimes[0].Lacks = nil },
		"leak":      func(r *render.Report) { r.Verdicts[0].Leaks = []string{"mount"} },
		"claim":     func(r *render.Report) { r.Verdicts[0].Claim = "cannot fly" },
		"guarantee": func(r *render.Report) { r.Verdicts[0].Guarantee = "fs.fly" },
		"one less":  func(r *render.Report) { r.Verdicts = r.Verdicts[1:] },
	} {
		r := compared().ByRuntime()[1]
		if change(&r); page(t, r) == was {
			t.Errorf("%s: the page is the same", name)
		}
	}
}

// Every guarantee is on the page, once.
func TestPageHasEveryGuaranteeOnce(t *testing.T) {
	for _, r := range append(compared().ByRuntime(), verified()) {
		text := page(t, r)
		for _, v := range r.Verdicts {
			if got := strings.Count(text, v.Guarantee); got != 1 {
				t.Errorf("%s: %d times %s in\n%s", v.Runtime, got, v.Guarantee, text)
			}
		}
	}
}

// What is held apart from the runtime is not what it does not hold.
func TestPageOfWhatIsAllHeld(t *testing.T) {
	r := compared().ByRuntime()[0]
	r.Verdicts = slices.DeleteFunc(r.Verdicts, func(v record.Verdict) bool { return v.Outcome != record.Held })
	if text := page(t, r); !strings.Contains(text, "Nothing: all of it was held.") || !strings.Contains(text, "kept by the kernel") {
		t.Errorf("got\n%s", text)
	}
}

func TestPageOfADevelopmentVersion(t *testing.T) {
	for version, want := range map[string]string{
		"(devel)": "a development version", "v0.0.0-20261127010203-abcdef123456": "a development version",
		"v0.1.1-0.20261127010203-abcdef123456+dirty": "a development version", "v1.2.3": "v1.2.3", "1.1.5+ds1": "1.1.5+ds1",
	} {
		r := verified()
		r.Verdicts[0].RuntimeVersion = version
		if text := page(t, r); !strings.Contains(text, "| version | "+render.EscapeMarkdown(want)+" |\n") {
			t.Errorf("%s: no %q in\n%.400s", version, want, text)
		}
	}
}

func TestPageIsOnOneRuntime(t *testing.T) {
	for name, r := range map[string]render.Report{"several": compared(), "a ladder": climbed(), "none": {}} {
		var b bytes.Buffer
		if err := render.Page(&b, r, noHow); err == nil || b.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", name, err, b.Len())
		}
	}
}

// How a runtime is run is the only part that comes from no record.
func TestPageSaysHow(t *testing.T) {
	r := compared().ByRuntime()[1]
	said := "## How it is run\n\n`by hand`\n\n"
	with := string(bytesOf(t, func(b *bytes.Buffer) error {
		return render.Page(b, r, func(runtime string) string {
			if runtime != r.Verdicts[0].Runtime {
				t.Errorf("asked of %q", runtime)
			}
			return strings.TrimSpace(said)
		})
	}))
	if without := page(t, r); with != strings.Replace(without, "## What it lacks", said+"## What it lacks", 1) || with == without {
		t.Errorf("got\n%s", with)
	}
}

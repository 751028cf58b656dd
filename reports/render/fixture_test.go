package render_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// golden compares with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

func host() record.Run {
	return record.Run{
		ID: "r1", Time: time.Date(2026, 11, 27, 1, 2, 3, 0, time.FixedZone("", 3600)), Version: "0.1.0", Commit: "a68b550",
		Kernel: "6.18.44", Machine: "x86_64", CPUs: 2, MemoryBytes: 4 << 30, CgroupMode: "hybrid",
		Runtimes: []record.Runtime{{Name: "core", Version: "0.1.0"}}, CatalogueLen: 179,
	}
}

// hostile is what a container might say.
const hostile = "nonce\x1b]0;owned\x07\x1b[2J\r\n✓ fs.fake held \u202egnp.exe\u2066\xff\x00\u0085 <script>alert(1)</script> `x` ]]> |a|[b](javascript:c) https://evil.example @all &amp;"

func verdict(id, claim string, o record.Outcome, deniedBy, errno string) record.Verdict {
	group, _, _ := strings.Cut(id, ".")
	return record.Verdict{
		Run: "r1", Guarantee: id, Group: group, Claim: claim, Runtime: "core", RuntimeVersion: "0.1.0", Rung: "hardened", Claimed: true,
		Outcome: o, DeniedBy: deniedBy, Errno: errno, Duration: 20 * time.Millisecond,
		Control: &record.Trial{Edit: "the host's " + group + " barrier", On: "core", Rung: "hardened", Outcome: record.Breached},
		Alone:   &record.Trial{On: "core", Rung: "namespaces", Outcome: record.Held, DeniedBy: deniedBy, Errno: errno},
		Tries:   []record.Try{{Call: "attempt(" + id + ")", Errno: errno}},
		Again:   "cellwall verify --runtime core --only " + id + " -v",
	}
}

// verified holds every class of verdict, with hostile text in each field that a container fills.
func verified() render.Report {
	r := render.Report{Run: host(), Elapsed: 2100 * time.Millisecond}
	add := func(v record.Verdict, change func(*record.Verdict)) {
		if change != nil {
			change(&v)
		}
		r.Verdicts = append(r.Verdicts, v)
	}
	add(verdict("fs.dotdot", "cannot reach the host tree through '..' from its root", record.Held, "root", "ENOENT"), nil)
	add(verdict("fs.proc-root", "cannot reach the host tree through /proc/1/root", record.Breached, "", ""), func(v *record.Verdict) {
		v.Evidence = hostile
	})
	add(verdict("fs.noexec", "cannot execute a file on a noexec volume", record.Held, "mount-flag", "EACCES"), func(v *record.Verdict) {
		v.Leaks = []string{"mount /tmp/cellwall-r1-3"}
	})
	add(verdict("process.signal-host", "cannot signal a process outside its PID namespace", record.Held, "pid-namespace", "ESRCH"), func(v *record.Verdict) {
		v.Tries = append(v.Tries, record.Try{Call: "kill(-1, SIGUSR1)"}, record.Try{Call: hostile, Errno: hostile})
		v.Dropped = 3
	})
	add(verdict("process.trace", "cannot trace a host process", record.Inconclusive, "", ""), func(v *record.Verdict) {
		v.Reason = "control did not breach"
		v.Control.Outcome, v.Control.Reason, v.Control.Errno = record.Held, "denied all the same", "EPERM"
		v.Alone = nil
	})
	add(verdict("pids.fork-bomb", "cannot start more processes than its limit", record.Held, "pids.max", "EAGAIN"), func(v *record.Verdict) {
		v.Controls = []record.Trial{*v.Control, {Edit: "a user limit", On: "core", Outcome: record.Held}}
	})
	add(verdict("pids.kill-fork-bomb", "can be killed completely while it forks", record.Unproven, "", ""), func(v *record.Verdict) {
		v.Reason, v.Control, v.Alone, v.Tries = "its control may only run in a throw-away guest", nil, nil, nil
	})
	add(verdict("memory.hugetlb", "cannot use more huge pages than its limit", record.Unsupported, "", ""), func(v *record.Verdict) {
		v.Reason, v.Control, v.Alone, v.Tries = "no huge pages are reserved (vm.nr_hugepages is 0)", nil, nil, nil
	})
	add(verdict("leak.power-sensors", "cannot read power or frequency sensors", record.Breached, "", ""), func(v *record.Verdict) { v.Claimed = false })
	add(verdict("leak.host-identifiers", "cannot read identifiers of the host", record.Breached, "", ""), func(v *record.Verdict) { v.Claimed = false })
	return r
}

func bytesOf(t *testing.T, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

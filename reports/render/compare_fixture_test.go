package render_test

import (
	"cellwall/reports/record"
	"cellwall/reports/render"
)

// compared holds three runtimes that agree on some guarantees and not on others; one was absent, one
// ran at another rung, and one says hostile things.
func compared() render.Report {
	r := render.Report{Run: host()}
	r.Run.ID = "cellwall-abc123"
	r.Run.Absent, r.Run.Idle, r.Run.Unasked = []string{"youki", "moon\x1b"}, []string{"docker: does not start a container here: no daemon\x1b"}, []string{"sun\x1b at chroot"}
	r.Run.Runtimes = []record.Runtime{
		{Name: "core", Version: "0.1.0"},
		{Name: "runc", Version: "1.1.5+ds1", Lacks: []string{"the host's time namespace"}},
		{Name: "bwrap", Version: "0.8.0", Lacks: []string{hostile}},
	}
	known := &record.Exception{Known: true, Reason: "it masks files with the image's /dev/null", Source: "CVE-2025-31133", Advice: "update to 1.2.8"}
	add := func(runtime, id, claim string, o record.Outcome, change func(*record.Verdict)) {
		v := verdict(id, claim, o, "layer", "EPERM")
		v.Run, v.Runtime, v.RuntimeVersion = r.Run.ID, runtime, map[string]string{"core": "0.1.0", "runc": "1.1.5+ds1", "bwrap": "0.8.0"}[runtime]
		v.Again = "cellwall verify --runtime " + runtime + " --only " + id + " -v"
		if runtime == "bwrap" {
			v.Rung = "namespaces"
		}
		v.Control.On, v.Alone.On = runtime, runtime
		if o == record.Unsupported || o == record.Unproven {
			v.Control, v.Alone, v.Tries, v.DeniedBy, v.Errno = nil, nil, nil, "", ""
		}
		if change != nil {
			change(&v)
		}
		r.Verdicts = append(r.Verdicts, v)
	}
	exception := func(e *record.Exception) func(*record.Verdict) {
		return func(v *record.Verdict) { v.Exception, v.Claimed = e, e.Known }
	}
	for _, rt := range []string{"core", "runc", "bwrap"} {
		add(rt, "fs.dotdot", "cannot reach the host tree through '..' from its root", record.Held, func(v *record.Verdict) {
			if v.Control.On = "core"; rt == "bwrap" {
				v.Alone = nil
			}
		})
		switch rt {
		case "runc":
			add(rt, "fs.mask-source", "cannot swap what masks a file", record.Breached, exception(known))
			add(rt, "time.offset", "has clocks of its own", record.Breached, exception(&record.Exception{Reason: "it makes no time namespace", Source: "since runc 1.2.0"}))
		default:
			add(rt, "fs.mask-source", "cannot swap what masks a file", record.Held, nil)
			add(rt, "time.offset", "has clocks of its own", record.Held, nil)
		}
		add(rt, "memory.swap-limit", "cannot swap more than its limit", record.Unsupported, func(v *record.Verdict) {
			v.Reason = "make cgroup \"/sys/fs/cgroup/memory/some.slice/cellwall-abc123/cellwall-abc123-17-shared\": not supported"
			if rt == "runc" {
				v.Reason = "swap: not supported (not set up)"
			}
		})
		add(rt, "memory.high", "is slowed down at its limit", record.Unsupported, func(v *record.Verdict) {
			v.Control = &record.Trial{Edit: "no limit", On: "core", Outcome: record.Unsupported, Reason: "the same"}
			v.Reason = "make cgroup \"/sys/fs/cgroup/memory/some.slice/cellwall-abc123/cellwall-abc123-23-shared\": not supported"
		})
		add(rt, "pids.kill-fork-bomb", "can be killed completely while it forks", record.Unproven, func(v *record.Verdict) {
			v.Reason = "its control may only run in a throw-away guest"
		})
		add(rt, "net.egress-policy", "cannot reach forbidden destinations", record.Held, func(v *record.Verdict) {
			if v.KeptBy = "kernel"; rt == "bwrap" {
				v.KeptBy, v.Control.On = hostile, "core"
			}
		})
	}
	add("bwrap", "kernel.modules", "cannot load a module", record.Breached, func(v *record.Verdict) {
		v.Evidence, v.Reason, v.Claim = hostile, hostile+" {0}", "cannot load a module "+hostile
	})
	add("bwrap", "kernel.sysrq", "cannot trigger sysrq", record.Inconclusive, func(v *record.Verdict) {
		v.Reason = "process 4711 in /tmp/oci-558969853 was not there"
	})
	add("bwrap", "leak.mount", "leaves no mount", record.Breached, func(v *record.Verdict) {
		v.Claimed, v.Leaks = false, []string{"mount /tmp/cellwall-abc123"}
	})
	add("bwrap", "net.raw", "cannot make raw packets", record.Held, func(v *record.Verdict) { v.Control.On, v.Alone = "bwrap", nil })
	return r
}

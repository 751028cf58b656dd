package claim

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// named is a runtime of which nothing but its name and what it lacks matters.
type named struct {
	driver.Runtime
	name  string
	lacks spec.Edits
}

func (n named) Name() string                            { return n.name }
func (n named) Lacks() spec.Edits                       { return n.lacks }
func (n named) Version(context.Context) (string, error) { return "", nil }

func TestOf(t *testing.T) {
	noTime := spec.Edits{spec.WithoutNamespace("time")}
	for _, c := range []struct {
		name        string
		lacks       spec.Edits
		version     string
		row         string
		rung        spec.Rung // empty is hardened
		known, none bool
	}{
		{name: "runc", version: "1.1.5+ds1", row: "fs.mask-source", known: true},
		{name: "runc", version: "1.2.8", row: "fs.mask-source", none: true},
		{name: "runc", version: "1.3.0", row: "fs.mask-source", known: true},
		{name: "runc", version: "1.1.5", row: "fs.dotdot", none: true},
		{name: "runc", lacks: noTime, version: "1.1.5", row: "time.offset"},
		{name: "runc", lacks: noTime, version: "1.2.0", row: "time.offset", none: true},
		{name: "runc", version: "1.4.2", row: "fs.image-symlink", known: true},
		{name: "runc", version: "1.4.3", row: "fs.image-symlink", none: true},
		{name: "runc", version: "1.5.0-rc.1", row: "fs.image-symlink", known: true},
		{name: "runc", version: "1.1.5", row: "time.offset", none: true},
		{name: "crun", version: "1.8.1", row: "fs.noexec", known: true},
		{name: "crun", version: "1.8.1", row: "fs.nosuid", known: true},
		{name: "crun", version: "1.8.1", row: "fs.noexec", rung: spec.Limits, none: true},
		{name: "crun", version: "1.11.1", row: "fs.noexec", none: true},
		{name: "crun", version: "1.30", row: "syscall.unknown-enosys"},
		{name: "runc@old", version: "1.1.5", row: "fs.mask-source", known: true},
		{name: "core", version: "1.1.5", row: "fs.mask-source", none: true},
		{name: "oci:/usr/bin/runc", version: "1.1.5", row: "fs.mask-source", none: true},
	} {
		e := Of(named{name: c.name, lacks: c.lacks}, c.version, c.row, cmp.Or(c.rung, spec.Hardened))
		switch {
		case c.none && e != nil:
			t.Errorf("%s %s has an exception for %s: %s", c.name, c.version, c.row, e.Reason)
		case !c.none && e == nil:
			t.Errorf("%s %s has no exception for %s", c.name, c.version, c.row)
		case !c.none && e.Known != c.known:
			t.Errorf("%s %s on %s: known is %v", c.name, c.version, c.row, e.Known)
		}
	}
}

// TestRunscClaims keeps the list of what can be told of a sandbox from outside.
func TestRunscClaims(t *testing.T) {
	var claimed, known []string
	lacks := spec.Edits{spec.WithoutNamespace("time"), spec.Unconfined()}
	for _, g := range guarantee.All() {
		switch e := Of(named{name: "runsc", lacks: lacks}, "release-20260901.0", g.ID, spec.Hardened); {
		case e == nil:
			claimed = append(claimed, g.ID)
		case e.Known:
			known = append(known, g.ID)
		}
	}
	for _, c := range []struct {
		got  []string
		want string
	}{
		{known, "fs.rro-submount lifecycle.failed-create-clean lifecycle.no-state-left"},
		{claimed, `
			abstract.keys cpu.cpuset cpu.quota cpu.weight device.mknod
			fs.bundle-private fs.control-sockets fs.cwd-leak fs.dotdot fs.fanotify-filesystem fs.hardlink-host fs.host-mount fs.image-symlink
			fs.mount-propagation fs.nested-chroot fs.nodev fs.open-by-handle fs.overlay-lower fs.proc-mem fs.proc-root-link fs.readonly-root
			io.disk-quota io.file-size ipc.abstract-socket ipc.dev-shm ipc.posix-queue ipc.sysv
			kernel.audit kernel.bpf kernel.cgroup-migrate kernel.cgroup-raise kernel.log kernel.modules leak.cgroup-path leak.kernel-addresses
			lifecycle.freeze-stops-all lifecycle.id-traversal lifecycle.no-fd-growth lifecycle.no-mount-left lifecycle.no-process-left
			memory.limit-kills-inside memory.peak-recorded
			net.host-config net.host-loopback net.own-interfaces net.packet-sniff net.privileged-port
			process.oom-score process.proc-view process.retune-host process.signal-host process.trace-host
			user.file-caps-rootid user.host-root-files user.root-unprivileged user.session-keyring user.setgroups-deny user.setuid-plant user.unmapped-ids
			uts.hostname-host`},
	} {
		want := strings.Fields(c.want)
		slices.Sort(c.got)
		slices.Sort(want)
		if !slices.Equal(c.got, want) {
			t.Errorf("they are %q, want %q", c.got, want)
		}
	}
}

// TestVMClaims keeps the list of what a bait on the host can tell of a virtual machine: all else is not even tried.
func TestVMClaims(t *testing.T) {
	var claimed []string
	for _, g := range guarantee.All() {
		e := Of(named{name: "vm"}, "7.3.4-amd64 by tcg", g.ID, spec.Sandbox)
		if e == nil {
			claimed = append(claimed, g.ID)
		} else if !e.Untried {
			t.Errorf("%s is tried, though a witness cannot tell", g.ID)
		}
	}
	want := strings.Fields(`
		fs.dotdot fs.nested-chroot fs.proc-root-link fs.image-symlink fs.control-sockets fs.readonly-root fs.rro-submount fs.nodev fs.proc-mem
		fs.hardlink-host fs.overlay-lower fs.open-by-handle fs.fd-reopen
		process.signal-host process.pidfd-open process.trace-host process.proc-view process.retune-host process.steal-fd
		user.host-root-files user.setuid-plant
		ipc.sysv ipc.posix-queue ipc.abstract-socket ipc.dev-shm
		net.host-loopback net.own-interfaces net.packet-sniff net.host-config net.privileged-port
		uts.hostname-host kernel.bpf
		lifecycle.no-state-left lifecycle.no-mount-left lifecycle.failed-create-clean
		lifecycle.id-traversal`)
	slices.Sort(claimed)
	slices.Sort(want)
	if !slices.Equal(claimed, want) {
		t.Errorf("claimed are %q, want %q", claimed, want)
	}
}

// TestTables checks that every entry means something: a runtime, a row, a reason, a source.
func TestTables(t *testing.T) {
	names := driver.Names()
	for name, table := range tables {
		if !slices.Contains(names, name) {
			t.Errorf("claims of %q, which no driver has", name)
		}
		for _, e := range table {
			if e.Reason == "" || e.Source == "" {
				t.Errorf("%s %v: no reason or no source", name, e.Rows)
			}
			if e.Known && e.Advice == "" {
				t.Errorf("%s %v: a known failure without advice", name, e.Rows)
			}
			if e.Known && e.Untried {
				t.Errorf("%s %v: a known failure that is not tried", name, e.Rows)
			}
			for _, glob := range e.Rows {
				found := false
				for _, g := range guarantee.All() {
					found = found || guarantee.Match([]string{glob}, g.ID)
				}
				if !found {
					t.Errorf("%s: %q matches no row", name, glob)
				}
			}
		}
	}
}

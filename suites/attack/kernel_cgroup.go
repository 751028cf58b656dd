package attack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var kernelCgroupAttacks = []Attack{
	RaiseLimits,
	LeaveCgroup,
}

// Limit is a limit of the attacker's own cgroup, and a slightly higher one.
type Limit struct{ Controller, File, Now, Raised string }

// Limits are what RaiseLimits raises, v1's files and v2's. The values mark the trial's own group:
// no other is ever written to.
func Limits() []Limit {
	return []Limit{
		{Controller: "pids", File: "pids.max", Now: "201", Raised: "202"},
		{Controller: "memory", File: "memory.limit_in_bytes", Now: "209715200", Raised: "213909504"},
		{Controller: "memory", File: "memory.max", Now: "209715200", Raised: "213909504"},
		{Controller: "cpu", File: "cpu.cfs_quota_us", Now: "90000", Raised: "91000"},
		{Controller: "cpu", File: "cpu.max", Now: "90000 100000", Raised: "91000 100000"},
	}
}

// RaiseLimits writes higher limits into its own cgroups, where it finds them and where it can mount
// them again. It mounts only if Target.Extra says so: in a mount namespace of its own.
var RaiseLimits = Attack{Name: "kernel.cgroup-raise", Run: func(a *Attempt) {
	b, err := os.ReadFile("/proc/self/cgroup")
	found := a.Try("read /proc/self/cgroup", err)
	for _, l := range Limits() {
		if dir, _, ok := a.ownGroup(l.Controller, l.File); ok {
			a.raise(dir, l)
			continue
		}
		// Its group may be mounted where its path, which is the host's, does not lead.
		mounts, _ := filepath.Glob("/sys/fs/cgroup/*" + l.Controller + "*")
		for _, dir := range append(mounts, "/sys/fs/cgroup", "/sys/fs/cgroup/unified") {
			a.raise(dir, l)
		}
	}
	if a.Target.Extra != "mount" || !found {
		return
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 || strings.Contains(f[1], "=") {
			continue
		}
		// Only hierarchies that there are: to mount another is to make one.
		fs, where := "cgroup", "/tmp/again-"+strconv.Itoa(i)
		if f[1] == "" {
			fs = "cgroup2"
		}
		if !a.mkdir(where) || !a.Try("mount "+fs+" "+f[1], unix.Mount(fs, where, fs, 0, f[1])) {
			continue
		}
		for _, l := range Limits() {
			a.raise(filepath.Join(where, f[2]), l)
		}
	}
}}

// raise writes to a file that has the value of the trial.
func (a *Attempt) raise(dir string, l Limit) {
	file := filepath.Join(dir, l.File)
	if now, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(now)) == l.Now {
		a.write(file, l.Raised)
	}
}

// LeaveCgroup moves itself into the cgroup at Target.Path, and holds.
var LeaveCgroup = Attack{Name: "kernel.cgroup-migrate", Run: func(a *Attempt) {
	fd, err := unix.Open(filepath.Join(a.Target.Path, "cgroup.procs"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if a.Try("open the outer cgroup", err) {
		for _, pid := range []string{"0", strconv.Itoa(os.Getpid())} {
			_, err := unix.Write(fd, []byte(pid))
			a.Try("move "+pid+" to the outer cgroup", err)
		}
	}
	a.Hold("moved")
}}

package attack

import (
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

var pidsAttacks = []Attack{
	ForkBomb,
	CountThreads,
	Comets,
	cometNest,
	FillUser,
	ForkOnce,
}

// ForkBomb grows a tree of up to Target.Count processes and holds at "own"; then in a child
// cgroup with no limit of its own, where it can make one, and holds at "below".
var ForkBomb = Attack{Name: "pids.fork-bomb", Run: func(a *Attempt) {
	if !a.Try("settle", settle()) {
		return
	}
	a.bomb("own")
	if a.intoChild() {
		a.bomb("below")
	}
}}

func (a *Attempt) bomb(hold string) {
	f, err := grow(a.Target.Count)
	if !a.Try("grow a tree of processes", err) {
		return
	}
	a.Try(fmt.Sprintf("fork (%d processes)", f.Size), f.err())
	a.Hold(hold)
	f.fell()
}

// intoChild moves the attacker into a new cgroup below its own, which asks for no limit.
func (a *Attempt) intoChild() bool {
	dir, v2, ok := a.ownGroup("pids", "pids.max")
	if !ok {
		return false
	}
	wide := filepath.Join(dir, "wide")
	if v2 {
		// A group with processes cannot hand on its controllers: cgroups(7).
		leaf := filepath.Join(dir, "leaf")
		if !a.mkdir(leaf) || !a.write(leaf+"/cgroup.procs", "0") || !a.write(dir+"/cgroup.subtree_control", "+pids") {
			return false
		}
	}
	return a.mkdir(wide) && a.write(wide+"/pids.max", "max") && a.write(wide+"/cgroup.procs", "0")
}

// CountThreads makes up to Target.Count children that it does not reap and holds at "zombies";
// then as many threads, and holds at "threads".
var CountThreads = Attack{Name: "pids.threads-count", Run: func(a *Attempt) {
	if !a.Try("settle", settle()) {
		return
	}
	var err error
	n := 0
	for ; n < a.Target.Count && err == nil; n++ {
		var pid int
		if pid, err = startTask(ends, 0, -1); err == nil {
			// WNOWAIT leaves it a zombie.
			err = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}
	}
	a.Try(fmt.Sprintf("fork zombies (%d)", n), err)
	a.Hold("zombies")
	reap()
	err = nil
	for n = 0; n < a.Target.Count && err == nil; n++ {
		err = thread()
	}
	a.Try(fmt.Sprintf("clone threads (%d)", n), err)
	a.Hold("threads")
}}

// Comets starts a child that does nothing and holds at "idle". Another child then makes Target.Count
// comets, which fork themselves and exit until Target.For is over. The attacker holds at "flight"
// while they fly.
var Comets = Attack{Name: "pids.kill-fork-bomb", Run: func(a *Attempt) {
	if !a.Try("settle", settle()) {
		return
	}
	f, err := newFamily()
	if err == nil { // one that outlives the attacker
		err = f.start(a.AgainAt(strayChild, Target{For: 10 * time.Second}))
	}
	if !a.Try("start a child", err) {
		return
	}
	a.Hold("idle")
	nest, err := a.part(cometNest, a.Target)
	if !a.Try("start a child that makes comets", err) {
		return
	}
	ignoreChildren() // orphaned comets are the attacker's
	if said := nest.hears(); said != "ok" {
		a.Try("fork comets: "+said, unix.EIO)
		return
	}
	a.Try("fork comets", nil)
	a.Hold("flight")
	a.Try("come back", nil)
}}

var cometNest = Attack{Name: "pids.kill-fork-bomb/nest", Run: func(a *Attempt) {
	var b [1]byte
	var pipe [2]int
	if unix.Pipe2(pipe[:], unix.O_CLOEXEC) != nil {
		return
	}
	until := monotonic() + int64(a.Target.For)
	for range a.Target.Count {
		if _, err := startTask(comet, until, pipe[1]); err != nil {
			say(err)
			return
		}
		if n, _ := unix.Read(pipe[0], b[:]); n != 1 {
			return
		}
	}
	stay("ok")
}}

// FillUser grows a tree of up to Target.Count processes, so that no more of its user may be, and
// holds at "full".
var FillUser = Attack{Name: "pids.nproc-per-userns", Run: func(a *Attempt) {
	if !a.Try("settle", settle()) {
		return
	}
	a.bomb("full")
}}

// ForkOnce is a neighbour of the same user: it takes Target.UID and its limit of Target.Count
// processes, forks once, and says what came of it.
var ForkOnce = Attack{Name: "pids.nproc-per-userns/neighbour", Run: func(a *Attempt) {
	if err := settle(); err != nil {
		return
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &before); err != nil {
		return
	}
	if err := become(a.Target.UID); err != nil {
		fmt.Println("become:", err)
		return
	}
	// For the one fork alone: the Go runtime may need a thread at any other time.
	limit := unix.Rlimit{Cur: uint64(a.Target.Count), Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		fmt.Println("limit:", err)
		return
	}
	_, err := startTask(ends, 0, -1)
	_ = unix.Setrlimit(unix.RLIMIT_NPROC, &before)
	say(err)
}}

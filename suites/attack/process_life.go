package attack

import (
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

var processLifeAttacks = []Attack{
	InitDeath,
	initDeathTree,
	initDeathLeaf,
	initDeathKill,
	JoinNamespaces,
	NamespaceOwner,
	ChoosePID,
	OOMScore,
	waiting,
}

// waiting is a child that does nothing until its input ends.
var waiting = Attack{Name: "process/waiting", Run: func(*Attempt) {
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1))
}}

// InitDeath makes Target.Count processes that have left its session and ignore all signals, and
// holds at "tree". Then a child kills it, and if it survives that it holds at "immune" to be
// killed from outside. It makes no final record if it dies.
var InitDeath = Attack{Name: "process.init-death", Run: func(a *Attempt) {
	f, err := newFamily()
	if !a.Try("make pipes", err) {
		return
	}
	for range a.Target.Count {
		parent := a.Again(initDeathTree)
		err := f.start(parent)
		if err == nil {
			_, err = f.line()
		}
		if err == nil {
			err = parent.Wait() // or it would be counted, too
		}
		if !a.Try("start a process that outlives its parent", err) {
			return
		}
	}
	a.Hold("tree")
	kill := a.AgainAt(initDeathKill, Target{PID: os.Getpid()})
	err = f.start(kill)
	if err == nil {
		err = kill.Wait()
	}
	a.Try("kill init from inside", err)
	a.Hold("immune")
}}

// initDeathTree is the parent that goes away.
var initDeathTree = Attack{Name: "process.init-death/tree", Run: func(a *Attempt) {
	leaf := a.Again(initDeathLeaf)
	leaf.Stdin, leaf.Stdout, leaf.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = leaf.Start() // no line is written if it fails
}}

// initDeathLeaf ignores what can be ignored, for Target.For at most.
var initDeathLeaf = Attack{Name: "process.init-death/leaf", Run: func(a *Attempt) {
	_, _ = unix.Setsid()
	signal.Ignore()
	fmt.Println("ready")
	time.Sleep(a.Target.For) //nolint:forbidigo // to be there is all it does
}}

// initDeathKill kills the attacker itself, Target.PID, with what no handler can be the reason for.
var initDeathKill = Attack{Name: "process.init-death/kill", Run: func(a *Attempt) {
	for _, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGKILL} {
		if unix.Kill(a.Target.PID, sig) != nil {
			os.Exit(1)
		}
	}
}}

// ChoosePID makes a child whose pid is to be Target.Count, and one whose pid is to be
// Target.Count+LastPIDStep, and holds while they live.
var ChoosePID = Attack{Name: "process.choose-pid", Run: func(a *Attempt) {
	chosen, err := fork(a.Target.Count)
	if a.Try(fmt.Sprintf("clone3 set_tid %d", a.Target.Count), err) {
		defer chosen.end() //nolint:errcheck // it is our child
	}
	// A pid of the host's own namespace is nobody's to choose, not even for a control.
	if os.Getpid() == 1 {
		last := fmt.Sprint(a.Target.Count + LastPIDStep - 1)
		if a.Try("write ns_last_pid", os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(last), 0)) {
			next, err := fork(0)
			if a.Try("fork", err) {
				defer next.end() //nolint:errcheck // it is our child
			}
		}
	}
	a.Hold("children")
}}

// LastPIDStep is how far ChoosePID's two pids lie from each other.
const LastPIDStep = 1000

// OOMScore lowers its own oom_score_adj and holds.
var OOMScore = Attack{Name: "process.oom-score", Run: func(a *Attempt) {
	a.Try("write -500 to oom_score_adj", os.WriteFile("/proc/self/oom_score_adj", []byte("-500"), 0))
	a.Try("write -8 to oom_adj", os.WriteFile("/proc/self/oom_adj", []byte("-8"), 0)) // the older name, another scale
	a.Hold("score")
}}

package load

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// Victim is the act that does one operation on a schedule, for a request's Delay, and answers with how
// long each took. Its arguments are the name of a victim and what that needs.
const Victim = "victim"

// VictimLoad is an operation that may feel a neighbour.
type VictimLoad struct {
	Name string
	// Every is the time from one operation that is due to the next; 0 is a closed loop: one after another.
	Every time.Duration
	// Doc completes "An operation ...".
	Doc  string
	open func(args []string) (func() error, error)
}

// Victims are those that Victim knows.
func Victims() []VictimLoad {
	return []VictimLoad{
		{Name: "cpu", Doc: "computes a fixed amount of some 500 us, one after another", open: openUnit},
		{Name: "request", Every: 500 * time.Microsecond, Doc: "takes 64 KiB of fresh memory, computes for some 20 us and gives it back, 2000 times a second", open: openRequest},
		{Name: "fsync", Every: 5 * time.Millisecond, Doc: "writes 4 KiB over a part of a file and calls fsync, 200 times a second", open: openFsync},
		{Name: "fork", Every: 4 * time.Millisecond, Doc: "starts a program and waits for its end, 250 times a second; a refused fork is tried again each millisecond", open: openFork},
		{Name: "echo", Every: time.Millisecond, Doc: "sends 64 bytes over TCP and waits for them to come back, 1000 times a second", open: openPing},
	}
}

// graceWindows is how many windows after its own an operation that was due is still begun.
const graceWindows = 4

// victimMemory is above what the collector runs: not within a few hundred windows, so that no operation
// waits for it.
const victimMemory = 96 << 20

// victim blocks its one thread whenever it waits. Where no more threads can be made Go must not want one.
func victim(args []string) int {
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(victimMemory)
	// Without it the kernel may wake us 50 us late, to save power: timer slack, prctl(2).
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	say := json.NewEncoder(os.Stdout)
	refuse := func(text string) int { _ = say.Encode(Reply{Error: text}); return 1 }
	if len(args) == 0 {
		return refuse("a victim has a name")
	}
	var v *VictimLoad
	for _, known := range Victims() {
		if known.Name == args[0] {
			v = &known
		}
	}
	if v == nil {
		return refuse("no victim " + args[0])
	}
	op, err := v.open(args[1:])
	if err != nil {
		return refuse(err.Error())
	}
	if say.Encode(Reply{Ready: 1}) != nil {
		return 1
	}
	var took []int64
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r Request
		a := Reply{}
		if err = json.Unmarshal(lines.Bytes(), &r); err == nil {
			s := schedule{every: v.Every, window: r.Delay, grace: graceWindows * r.Delay, now: monotonic, sleep: sleepUntil}
			cpu, start := spent(), monotonic()
			took, a.Unserved, err = s.run(took[:0], op)
			a.Seconds, a.CPU = time.Duration(monotonic()-start).Seconds(), (spent() - cpu).Seconds()
			a.Latencies = took
		}
		if err != nil {
			a = Reply{Error: err.Error()}
		}
		if say.Encode(a) != nil {
			return 1
		}
	}
	return 0
}

package sentinel

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// TestPriorityIsHeldAgainstOurOwn: where the harness was started with a raised priority, a container that
// inherits it has raised nothing, and one that has a better one has.
func TestPriorityIsHeldAgainstOurOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: raises its priority")
	}
	for _, c := range []struct {
		name        string
		own, theirs int // nice values
		breached    bool
	}{
		{"as all have", 0, 0, false},
		{"inherited", -5, -5, false},
		{"raised", 0, -1, true},
		{"raised above ours", -5, -6, true},
		{"lowered, and taken back", 5, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			runtime.LockOSThread() // and never back: the thread ends with its priority
			if err := unix.Setpriority(unix.PRIO_PROCESS, 0, c.own); err != nil {
				t.Fatal(err)
			}
			w, err := PriorityKept(nil)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("cat")
			if _, err := cmd.StdinPipe(); err != nil { // Wait closes it
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // it was killed
			}()
			if err := unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, c.theirs); err != nil {
				t.Fatal(err)
			}
			if err := w.Hold(t.Context(), "last", &Subject{PID: cmd.Process.Pid}); err != nil {
				t.Fatal(err)
			}
			var said attack.Record
			for _, call := range []string{"setpriority", "ioprio_set", "sched_setscheduler", "sched_setattr"} {
				said.Tries = append(said.Tries, attack.Try{Call: call})
			}
			f, err := w.Look(t.Context(), nil, said)
			if err != nil || f.Breached != c.breached || c.breached != strings.Contains(f.Evidence, "has nice") {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

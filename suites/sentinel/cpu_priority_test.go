package sentinel

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// TestPriorityIsHeldAgainstWhatItWas: a container that was started with a raised priority has raised nothing.
func TestPriorityIsHeldAgainstWhatItWas(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: raises the priority of a process")
	}
	const bestDisk = 1 << 13 // IOPRIO_CLASS_RT, level 0
	for _, c := range []struct {
		name         string
		was, is      int // nice values
		wasIO, isIO  int // I/O priorities
		fifo         bool
		says, intact string
	}{
		{name: "as all have", intact: "nice value, I/O priority"},
		{name: "inherited", was: -5, is: -5, intact: "nice value, I/O priority"},
		{name: "inherited I/O", wasIO: bestDisk, isIO: bestDisk, intact: "nice value"},
		{name: "raised", is: -1, says: "has nice -1", intact: "I/O priority"},
		{name: "raised further", was: -5, is: -6, says: "has nice -6", intact: "I/O priority"},
		{name: "lowered, and taken back", was: 5, intact: "nice value, I/O priority"},
		{name: "raised I/O", isIO: bestDisk, says: "has real-time I/O", intact: "nice value"},
		{name: "all that is left", was: -5, is: -6, wasIO: bestDisk, isIO: bestDisk, says: "has nice -6"},
		{name: "highest", was: -20, is: -20, isIO: bestDisk, says: "has real-time I/O"},
		{name: "real-time", fifo: true, says: "has policy 1", intact: "nice value, I/O priority"},
	} {
		t.Run(c.name, func(t *testing.T) {
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
			a := &Subject{PID: cmd.Process.Pid}
			place := func(nice, io int) {
				const process = 1 // IOPRIO_WHO_PROCESS
				if err := unix.Setpriority(unix.PRIO_PROCESS, a.PID, nice); err != nil {
					t.Fatal(err)
				}
				if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, process, uintptr(a.PID), uintptr(io)); errno != 0 {
					t.Fatal(errno)
				}
			}
			place(c.was, c.wasIO)
			if err := w.Ready(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			place(c.is, c.isIO)
			if c.fifo {
				// In a cgroup of v1 that has no time for it nobody has one.
				if err := unix.SchedSetAttr(a.PID, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0); err != nil {
					t.Logf("not tried: %v", err)
					return
				}
			}
			if err := w.Hold(t.Context(), "last", a); err != nil {
				t.Fatal(err)
			}
			var said attack.Record
			for _, call := range []string{"setpriority", "ioprio_set", "sched_setscheduler", "sched_setattr"} {
				said.Tries = append(said.Tries, attack.Try{Call: call})
			}
			f, err := w.Look(t.Context(), a, said)
			if err != nil || f.Breached != (c.says != "") || !strings.Contains(f.Evidence, c.says) || strings.Join(f.Intact, ", ") != c.intact {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const runnerName = "cellwall-test-runner"

// runner boots a guest from JSON: its host and itself.
func runner(args []string) int {
	var h struct {
		QEMU  string
		Guest Guest
	}
	if err := json.Unmarshal([]byte(args[0]), &h); err != nil {
		panic(err)
	}
	// This goroutine's thread must not matter, nor what the runtime does with others.
	_, err := (&Host{QEMU: h.QEMU}).Run(context.Background(), h.Guest)
	panic(err)
}

// TestNothingIsLeftOfUsWhenKilled kills a process that has booted a guest, and its QEMU must be
// gone, and no file be left.
func TestNothingIsLeftOfUsWhenKilled(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	temporary := t.TempDir()
	g := plain(t, script{TCG: {{Op: "file", Text: pidFile}, {Op: "stay"}}})
	job, err := json.Marshal(map[string]any{"QEMU": fake(t).QEMU, "Guest": g})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, runnerName, string(job))
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var text []byte
	for ; err != nil || len(text) == 0; text, err = os.ReadFile(pidFile) {
		<-tick.C
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(gone, 20_000)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(gone, 20_000)
	}
	if n != 1 || err != nil {
		t.Errorf("QEMU still runs: %d, %v", n, err)
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

package driver

import (
	"os/exec"
	"testing"
)

// TestEndTogetherWithWhatIsGone: a program may have ended before anybody looks, and its parent with it.
func TestEndTogetherWithWhatIsGone(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	lives := exec.Command("cat")
	if _, err := lives.StdinPipe(); err != nil { // Wait closes it
		t.Fatal(err)
	}
	if err := lives.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = lives.Process.Kill()
		_ = lives.Wait() // it was killed
	}()
	for name, pids := range map[string][2]int{
		"the parent":  {lives.Process.Pid, gone.Process.Pid},
		"the program": {gone.Process.Pid, lives.Process.Pid},
	} {
		wait, err := endTogether(pids[0], pids[1])
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := wait(); err != nil {
			t.Errorf("%s: wait: %v", name, err)
		}
	}
}

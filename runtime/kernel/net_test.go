package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLoopback: that of a new network namespace is down, whatever other ways there are.
func TestLoopback(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8)")
	}
	err := OnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		for _, step := range []struct {
			script string
			up     bool
		}{
			{"true", false},
			{"ip link add cw0 type veth peer name cw1; ip address add 192.0.2.1/24 dev cw0; ip link set cw0 up; ip link set cw1 up; ip route add default dev cw0", false},
			{"ip link set lo up", true},
			{"ip link set lo down", false},
		} {
			if out, err := exec.Command("sh", "-ec", step.script).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", step.script, err, out)
			}
			if err := loopback(); step.up && err != nil || !step.up && CauseOf(err) != NotSetUp {
				t.Errorf("after %s: %v", step.script, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

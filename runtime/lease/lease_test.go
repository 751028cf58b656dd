package lease_test

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"testing"

	"cellwall/runtime/lease"
)

// TestMain is also a process that holds a lease until it is killed.
func TestMain(m *testing.M) {
	if parent := os.Getenv("LEASE_PARENT"); parent != "" {
		l, err := lease.Take(parent)
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(l.Name + "\n")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestKilledHolderIsLeft(t *testing.T) {
	parent := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "LEASE_PARENT="+parent)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // the process is killed
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	name, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	name = name[:len(name)-1]
	if left, err := lease.Left(parent); err != nil || len(left) != 0 {
		t.Errorf("while it lives: left %v, %v", left, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if left, err := lease.Left(parent); err != nil || !slices.Equal(left, []string{name}) {
		t.Errorf("after SIGKILL: left %v, %v, want %s", left, err, name)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	l, err := lease.Take(parent)
	if err != nil {
		t.Fatal(err)
	}
	if alive, err := lease.Living(parent, l.Name); !alive || err != nil {
		t.Errorf("held: alive %v, %v", alive, err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 0 {
		t.Errorf("closed: %v, %v", entries, err)
	}
}

func TestOf(t *testing.T) {
	for object, want := range map[string]string{
		"cellwall-abcdefgh23": "cellwall-abcdefgh23", "cellwall-abcdefgh23-7": "cellwall-abcdefgh23",
		"cellwall-abcdefgh23-7-x": "cellwall-abcdefgh23", "cellwall-nightly.service": "", "cellwall-backups12": "",
		"cellwall-abc": "", "cellwall-": "", "cellwal": "", "": "", "other-abcdefgh23": "",
	} {
		if got := lease.Of(object); got != want {
			t.Errorf("Of(%q) = %q, want %q", object, got, want)
		}
	}
}

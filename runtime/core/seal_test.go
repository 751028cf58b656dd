package core_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cellwall/runtime/core"
)

const sealed = "cellwall-sealed"

// beSealed is the program of TestSeal: it seals itself and waits for the end of its input.
func beSealed() int {
	if err := core.Seal(); err != nil {
		fmt.Println(err)
		return 1
	}
	comm, err := os.ReadFile("/proc/self/comm")
	fmt.Printf("%s %v %v\n", bytes.TrimSpace(comm), os.Args[1:], err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// TestSeal: who has opened the program of a sealed process can write nothing to its file, even
// when it has ended. As root it is a read-only mount, as another user a sealed copy.
func TestSeal(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, self, 0o755); err != nil { // a program
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Args = []string{sealed, "a", "b c"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := sealed + " [a b c] <nil>\n"; err != nil || line != want {
		t.Errorf("the sealed program says %q (%v), want %q", line, err, want)
	}
	held, openErr := os.Open(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid))
	check(t, in.Close())
	check(t, cmd.Wait())
	if openErr != nil {
		t.Fatal(openErr)
	}
	defer held.Close() //nolint:errcheck // read-only
	if w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", held.Fd()), os.O_WRONLY, 0); err == nil {
		if n, err := w.Write([]byte("x")); err == nil {
			t.Errorf("%d byte was written to the program", n)
		}
		check(t, w.Close())
	}
	if after, err := os.ReadFile(program); err != nil || !bytes.Equal(after, self) {
		t.Errorf("the program's file has changed (%v)", err)
	}
}

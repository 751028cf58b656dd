package command

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProgramBesideHasItsInterrupts: probe leaves an interrupt of the terminal to the program, which then must not
// ignore it.
func TestProgramBesideHasItsInterrupts(t *testing.T) {
	if signal.Ignored(os.Interrupt) {
		t.Skip("this test was started to ignore interrupts")
	}
	defer signal.Reset(os.Interrupt)
	var out bytes.Buffer
	ended := make(chan error, 1)
	if err := runBeside(t.Context(), []string{"cat", "/proc/self/status"}, nil, &out, ended, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !signal.Ignored(os.Interrupt) {
		t.Error("probe ends by it")
	}
	_, after, _ := strings.Cut(out.String(), "SigIgn:")
	var ignored uint64
	if _, err := fmt.Sscanf(after, "%x", &ignored); err != nil || ignored&(1<<(unix.SIGINT-1)) != 0 {
		t.Errorf("the program ignores %#x, %v", ignored, err)
	}
}

package command

import (
	"errors"
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnread: a pipe has a reader or none, and nothing else is unread.
func TestUnread(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if unread(int(write.Fd()), int(null.Fd())) {
		t.Error("a pipe with a reader is unread")
	}
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	if !unread(int(null.Fd()), int(write.Fd())) {
		t.Error("a pipe without a reader is read")
	}
}

// TestPipeOfAnother: SIGPIPE of a pipe that is none of our streams ends nothing.
func TestPipeOfAnother(t *testing.T) {
	seen := make(chan os.Signal, 1)
	signal.Notify(seen, unix.SIGPIPE)
	defer signal.Stop(seen)
	ctx := UntilEnd(t.Context())
	for range 2 { // the first is handled before the second is waited for
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := write.WriteString("x"); !errors.Is(err, unix.EPIPE) {
			t.Errorf("write to nobody: %v", err)
		}
		if err := write.Close(); err != nil {
			t.Fatal(err)
		}
		<-seen
	}
	if ctx.Err() != nil {
		t.Error("it ends")
	}
	signal.Reset(Ends()...)
}

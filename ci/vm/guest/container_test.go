package guest

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestInputReachesTheProgram: in order, and with its end, whoever sends the last word after it.
func TestInputReachesTheProgram(t *testing.T) {
	b := listen(strings.NewReader(`{"data":"b25lIA=="}` + "\n" + `{"data":"dHdv"}` + "\n{}\nA"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b.passTo(w)
	if got, err := io.ReadAll(r); err != nil || string(got) != "one two" {
		t.Errorf("got %q, %v", got, err)
	}
	b.awaitAck(time.Hour)
}

// TestInputThatNobodyReads is dropped: the last word behind it is heard.
func TestInputThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	b := listen(strings.NewReader(strings.Repeat(`{"data":"b25lIA=="}`+"\n", 3) + "A"))
	b.passTo(w)
	b.awaitAck(time.Hour)
}

// TestInputThatIsNone ends the listening, as the outside is another than ours.
func TestInputThatIsNone(*testing.T) {
	listen(strings.NewReader("what?\nA")).awaitAck(time.Hour)
}

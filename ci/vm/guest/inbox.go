package guest

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
)

// inbox is what the outside sends: input for a container's program, and Ack at last.
type inbox struct {
	port  *bufio.Reader
	input chan []byte   // nil data is the end
	acked chan struct{} // closed with Ack, and when the outside is gone
}

// listen reads the port until Ack.
func listen(port io.Reader) *inbox {
	b := &inbox{port: bufio.NewReaderSize(port, MaxFrame), input: make(chan []byte), acked: make(chan struct{})}
	go b.read()
	return b
}

func (b *inbox) read() {
	defer close(b.acked)
	defer close(b.input)
	for {
		first, err := b.port.Peek(1)
		if err != nil || first[0] == Ack {
			return
		}
		line, err := b.port.ReadSlice('\n')
		var i Input
		if err == nil {
			err = json.Unmarshal(line, &i)
		}
		if err != nil {
			complain(errUnknown)
			return
		}
		b.input <- i.Data
	}
}

// passTo writes the input to a file and closes it at its end. What nobody reads any more is dropped.
func (b *inbox) passTo(f *os.File) {
	go func() {
		var err error
		for data := range b.input {
			if len(data) == 0 {
				_ = f.Close()
			} else if err == nil {
				_, err = f.Write(data) // EPIPE: it has ended
			}
		}
		_ = f.Close()
	}()
}

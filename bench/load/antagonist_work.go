package load

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// antagonistWorker is the act of one worker: its arguments are a Work as JSON and its number.
const antagonistWorker = "antagonist-worker"

// worker is one process of an antagonist.
type worker struct {
	Work
	number int
	board  board
}

func workOn(args []string) int {
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	if err := tryWork(args); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", err)
		return 1
	}
	return 0
}

func tryWork(args []string) error {
	work, err := readWork(args)
	if err != nil {
		return err
	}
	if len(args) != 2 {
		return errors.New("a worker has a number")
	}
	w := &worker{Work: work}
	if w.number, err = strconv.Atoi(args[1]); err != nil || w.number < 0 || w.number >= work.Workers {
		return fmt.Errorf("worker %.20q: want a number below %d", args[1], work.Workers)
	}
	if w.board, err = mapBoard(boardFd); err != nil {
		return err
	}
	w.board.of(w.number, wordThere).Store(1)
	for w.on() && w.board.word(wordGo).Load() == 0 {
		w.pause(time.Millisecond)
	}
	for _, a := range antagonists() {
		if a.name != w.Name {
			continue
		}
		if err := a.work(w); err != nil {
			w.board.fail(err)
			return err
		}
	}
	return nil
}

// on reports whether nobody has said stop and the time is not over.
func (w *worker) on() bool {
	return w.board.word(wordStop).Load() == 0 && monotonic() < w.board.word(wordDeadline).Load()
}

// going reports whether there is more to do: on, and the count is not met.
func (w *worker) going() bool { return w.on() && w.done().Load() < w.Count }

func (w *worker) done() *atomic.Int64 { return w.board.of(w.number, wordDone) }

// did counts an operation; after the first the worker is at work.
func (w *worker) did() {
	w.done().Add(1)
	w.atWork()
}

func (w *worker) atWork() { w.board.of(w.number, wordAtWork).Store(1) }

func (w *worker) refused() { w.board.of(w.number, wordRefused).Add(1) }

// pause lets time pass, but no more than a worker may take to hear a stop.
func (w *worker) pause(d time.Duration) { sleepUntil(monotonic() + int64(min(d, tick))) }

// spinOn keeps a CPU busy. An operation is some thousand rounds.
func spinOn(w *worker) error {
	const n = 50_000
	for w.going() {
		if err := compute(n); err != nil {
			return err
		}
		w.did()
	}
	return nil
}

// hold takes memory page by page up to its bound, then writes to all of it again and again. An operation
// is a page. It is at work when it has all, or was killed for it.
func hold(w *worker) error {
	m, err := unix.Mmap(-1, 0, int(w.Bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	for full := false; ; full = true {
		for at := 0; at < len(m); at += ioSize {
			if !w.going() {
				return nil // and the memory goes with this process
			}
			m[at]++
			w.done().Add(1)
		}
		if !full {
			w.atWork()
		}
	}
}

// fillCache reads a file that is all hole, from end to end and again: the page cache fills, and no disk is
// read. An operation is a read of some pages. It is at work when it has read the file once.
func fillCache(w *worker) error {
	fd, err := scratch(0)
	if err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, w.Bytes); err != nil {
		return fmt.Errorf("make a file with a hole: %w", err)
	}
	b := make([]byte, min(w.Bytes, 256<<10))
	for at := int64(0); w.going(); at += int64(len(b)) {
		if at+int64(len(b)) > w.Bytes {
			w.atWork()
			at = 0
		}
		if _, err := unix.Pread(fd, b, at); err != nil {
			return fmt.Errorf("read a file: %w", err)
		}
		w.done().Add(1)
	}
	return nil
}

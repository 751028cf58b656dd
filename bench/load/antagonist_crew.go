package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// board is a page that a crew and its workers share, in words: what the crew says, and for each worker what
// it says. A worker that was killed has still said what it did.
type board []byte

const (
	boardBytes = 4096
	// Words of the crew.
	wordStop     = 0
	wordDeadline = 1 // CLOCK_MONOTONIC, ns
	wordGo       = 2 // all workers are there: now they begin
	// Words of each worker, from firstWorker on.
	firstWorker = 8
	workerWords = 4
	wordAtWork  = 0
	wordDone    = 1 // operations
	wordRefused = 2 // that it could not do
	wordThere   = 3
	boardFd     = 3 // where a worker has it
	wordSize    = 8
	// Behind all words: why the last worker failed that did, up to a NUL byte.
	reasonAt = (firstWorker + mostWorkers*workerWords) * wordSize
)

func mapBoard(fd int) (board, error) {
	m, err := unix.Mmap(fd, 0, boardBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the board: %w", err)
	}
	return m, nil
}

// word is one of the board's.
func (b board) word(i int) *atomic.Int64 { return (*atomic.Int64)(unsafe.Pointer(&b[i*wordSize])) }

// of is a word of worker i.
func (b board) of(i, word int) *atomic.Int64 { return b.word(firstWorker + i*workerWords + word) }

// fail leaves the reason why a worker has failed.
func (b board) fail(err error) { copy(b[reasonAt:len(b)-1], err.Error()) }

// failed is the error of a worker that has failed, nil if none has.
func (b board) failed() error {
	if text, _, _ := bytes.Cut(b[reasonAt:], []byte{0}); len(text) > 0 {
		return fmt.Errorf("a worker has failed: %s", text)
	}
	return nil
}

// crew is an antagonist's workers.
type crew struct {
	work    Work
	fd      int // of the board
	board   board
	pids    map[int]int // of the workers that live, by pid
	died    []bool      // workers that were killed once: they are as much at work as they get
	again   int64       // how often workers were started again
	begun   int64
	cpu     time.Duration
	pending []byte // of the standard input
}

func newCrew(w Work) (*crew, error) {
	fd, err := unix.MemfdCreate("board", 0) // workers have it
	if err != nil {
		return nil, fmt.Errorf("make the board: %w", err)
	}
	if err := unix.Ftruncate(fd, boardBytes); err != nil {
		return nil, fmt.Errorf("make the board: %w", err)
	}
	b, err := mapBoard(fd)
	return &crew{work: w, fd: fd, board: b, pids: map[int]int{}}, err
}

// tick is how often a crew at work looks after its workers.
const tick = 5 * time.Millisecond

// next waits for the next request. Meanwhile workers that were killed are started again.
func (c *crew) next() (Request, bool) {
	for {
		if line, rest, ok := bytes.Cut(c.pending, []byte{'\n'}); ok {
			c.pending = rest
			var r Request
			return r, json.Unmarshal(line, &r) == nil
		}
		timeout := -1
		if len(c.pids) > 0 {
			timeout = int(tick / time.Millisecond)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: 0, Events: unix.POLLIN}}, timeout)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return Request{}, false
		}
		c.look(true)
		if n <= 0 {
			continue
		}
		var b [512]byte
		n, err = unix.Read(0, b[:])
		if err != nil || n == 0 {
			return Request{}, false
		}
		c.pending = append(c.pending, b[:n]...)
	}
}

// look waits for workers that have ended, and for what they left behind: this is process 1. Those that
// were killed are started again, within the bounds.
func (c *crew) look(restart bool) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
		i, ours := c.pids[pid]
		if !ours {
			continue
		}
		delete(c.pids, pid)
		c.died[i] = c.died[i] || status.Signaled()
		if restart && status.Signaled() && c.again < c.work.Count && monotonic() < c.board.word(wordDeadline).Load() {
			c.again++
			_ = c.launch(i) // refused: the next killed one may have more luck
		}
	}
}

// launch starts worker i.
func (c *crew) launch(i int) error {
	text, err := json.Marshal(c.work)
	if err != nil {
		return err
	}
	self := os.Args[0]
	fd := uintptr(c.fd)
	pid, err := syscall.ForkExec(self, []string{self, antagonistWorker, string(text), strconv.Itoa(i)}, &syscall.ProcAttr{
		// There may be no /dev/null, and a worker neither reads nor writes.
		Files: []uintptr{2, 2, 2, fd}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	c.pids[pid] = i
	return nil
}

// patience is how long workers may take to be at work, and to stop.
const patience = 10 * time.Second

// start starts the workers and waits until all are at work.
func (c *crew) start() error {
	if len(c.pids) > 0 {
		return errors.New("it is at work")
	}
	clear(c.board)
	c.died, c.again, c.begun = make([]bool, c.work.Workers), 0, monotonic()
	c.cpu = spent()
	c.board.word(wordDeadline).Store(c.begun + int64(c.work.Lasts))
	for i := range c.work.Workers {
		if err := c.launch(i); err != nil {
			_, stopped := c.stop()
			return errors.Join(err, stopped)
		}
	}
	// None begins before the last is there: it would have to fight the others for a CPU.
	if err := c.await(wordThere); err != nil {
		return err
	}
	c.board.word(wordGo).Store(1)
	return c.await(wordAtWork)
}

// await waits until all workers have set a word of theirs.
func (c *crew) await(word int) error {
	for end := monotonic() + int64(patience); !c.all(word); sleepUntil(monotonic() + int64(time.Millisecond)) {
		c.look(true)
		switch {
		case len(c.pids) == 0 && !c.all(word):
			return errors.Join(errors.New("its workers have ended before they were at work"), c.board.failed())
		case monotonic() > end:
			_, err := c.stop()
			return errors.Join(fmt.Errorf("its workers are not at work after %s", patience), err)
		}
	}
	return nil
}

// all reports whether all workers have set a word, or are as far as they get.
func (c *crew) all(word int) bool {
	for i := range c.work.Workers {
		if c.board.of(i, word).Load() == 0 && !c.died[i] {
			return false
		}
	}
	return true
}

// stop ends the workers: by word, so that they tidy up, and else by force. It waits until none is left.
func (c *crew) stop() (Reply, error) {
	took := time.Duration(monotonic() - c.begun).Seconds()
	c.board.word(wordStop).Store(1)
	killed := false
	for end := monotonic() + int64(patience); len(c.pids) > 0; sleepUntil(monotonic() + int64(time.Millisecond)) {
		c.look(false)
		if late := monotonic() > end; late && killed {
			return Reply{}, fmt.Errorf("%d workers do not end", len(c.pids))
		} else if late {
			for pid := range c.pids {
				_ = unix.Kill(pid, unix.SIGKILL) // it is ours, as it has not been waited for
			}
			killed, end = true, monotonic()+int64(patience)
		}
	}
	a := Reply{Seconds: took, CPU: (spent() - c.cpu).Seconds(), Killed: c.again}
	for i := range c.work.Workers {
		a.Operations += c.board.of(i, wordDone).Load()
		a.Refused += c.board.of(i, wordRefused).Load()
	}
	return a, c.board.failed()
}

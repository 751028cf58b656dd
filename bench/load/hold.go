package load

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The acts that hold a resource.
const (
	// Spin keeps as many threads busy as its argument says, for a request's Delay.
	Spin = "spin"
	// Pauses keeps one thread busy, and answers each request with the length of the next time that it stood
	// still: longer than its argument, in nanoseconds.
	Pauses = "pauses"
	// Hog takes memory page by page, until it is killed or has as many bytes as its argument says. Before
	// each page it writes the time of CLOCK_MONOTONIC in nanoseconds to the start of its standard output,
	// which is a file of a page.
	Hog = "hog"
)

func argument(args []string) int64 {
	if len(args) != 1 {
		return 0
	}
	n, _ := strconv.ParseInt(args[0], 10, 64)
	return n
}

func spin(args []string) int {
	n := int(argument(args))
	runtime.GOMAXPROCS(n + 1)
	say := json.NewEncoder(os.Stdout)
	if say.Encode(Reply{Ready: 1}) != nil {
		return 1
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r Request
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			return 1
		}
		cpu, start := spent(), monotonic()
		var wait sync.WaitGroup
		for range n {
			wait.Go(func() {
				runtime.LockOSThread()
				for monotonic()-start < int64(r.Delay) { //nolint:revive // it is to be busy
				}
			})
		}
		wait.Wait()
		if say.Encode(Reply{Seconds: time.Duration(monotonic() - start).Seconds(), CPU: (spent() - cpu).Seconds()}) != nil {
			return 1
		}
	}
	return 0
}

func pauses(args []string) int {
	least := argument(args)
	say := json.NewEncoder(os.Stdout)
	if say.Encode(Reply{Ready: 1}) != nil {
		return 1
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		cpu := spent()
		last := monotonic()
		for {
			now := monotonic()
			if stood := now - last; stood > least {
				if say.Encode(Reply{Seconds: time.Duration(stood).Seconds(), CPU: (spent() - cpu).Seconds()}) != nil {
					return 1
				}
				break
			}
			last = now
		}
	}
	return 0
}

func hog(args []string) int {
	const page = 4096
	most := int(argument(args))
	clock, err := unix.Mmap(1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 1
	}
	m, err := unix.Mmap(-1, 0, most, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return 1
	}
	if unix.Madvise(m, unix.MADV_NOHUGEPAGE) == unix.ENOMEM { //nolint:errorlint // others: there are no huge pages
		return 1
	}
	for at := 0; at < most; at += page {
		putClock(clock)
		m[at] = 1
	}
	return 0
}

// putClock writes the time for one who reads it when we are dead.
func putClock(to []byte) { binary.NativeEndian.PutUint64(to, uint64(monotonic())) }

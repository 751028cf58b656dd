package attack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Kinds of memory that outlive the process that filled it, in the order in which Fill takes them.
var Kinds = []string{"tmpfs", "page cache", "System V segment", "pipes", "sockets", "names"}

// Fill has a part fill Target.Bytes of each kind of memory and exit, while the attacker keeps
// what it has filled. It holds at "start" and, after each, at its kind.
var Fill = Attack{Name: "memory.all-charged", Run: func(a *Attempt) {
	a.Hold("start")
	for _, kind := range Kinds {
		t := a.Target
		t.Extra = kind
		var keep []int
		var err error
		switch kind {
		case "System V segment":
			t.Key, err = segment(t.Bytes)
		case "pipes":
			keep, err = pipes(int(t.Bytes / pipeBytes))
		case "sockets":
			keep, err = sockets(int(t.Bytes / pipeBytes))
		}
		if !a.Try("make "+kind, err) {
			continue
		}
		p, err := a.part(filler, t, writeEnds(keep)...)
		if !a.Try("start a filler", err) {
			continue
		}
		said := p.hears()
		_ = p.wait()
		if said != "ok" {
			err = errors.New(said)
		}
		a.Try("fill "+kind, err)
		a.Hold(kind)
	}
}}

// pipeBytes is what a pipe holds: pipe(7). A socket holds more.
const pipeBytes = 64 << 10

// segment makes a System V segment that goes when the attacker does: it has been removed, and is
// there as long as somebody has attached it.
func segment(n int64) (int, error) {
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, int(n), unix.IPC_CREAT|0o600)
	if err != nil {
		return 0, err
	}
	_, err = unix.SysvShmAttach(id, 0, 0)
	_, rmErr := unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	return id, errors.Join(err, rmErr)
}

// pipes returns read and write ends in turn.
func pipes(n int) ([]int, error) {
	var all []int
	for range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			return all, err
		}
		all = append(all, p[:]...)
	}
	return all, nil
}

func sockets(n int) ([]int, error) {
	var all []int
	for range n {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return all, err
		}
		all = append(all, p[:]...)
	}
	return all, nil
}

func writeEnds(all []int) []*os.File {
	var files []*os.File
	for i := 1; i < len(all); i += 2 {
		files = append(files, os.NewFile(uintptr(all[i]), "write end"))
	}
	return files
}

var filler = Attack{Name: "memory.all-charged/filler", Run: func(a *Attempt) {
	var err error
	switch a.Target.Extra {
	case "tmpfs":
		err = writeFile(a.Inside("/dev/shm/fill"), a.Target.Bytes)
	case "page cache":
		err = writeFile(a.Inside(a.Target.Path+"/fill"), a.Target.Bytes)
	case "System V segment":
		var b []byte
		if b, err = unix.SysvShmAttach(a.Target.Key, 0, 0); err == nil {
			touch(b, 0)
		}
	case "pipes", "sockets":
		err = fillDescriptors(int(a.Target.Bytes / pipeBytes))
	case "names":
		// Each is a dentry and an inode.
		dir := a.Inside("/dev/shm/names")
		err = os.MkdirAll(dir, 0o755)
		for i := 0; i < a.Target.Count && err == nil; i++ {
			err = unix.Mknod(fmt.Sprintf("%s/%d", dir, i), unix.S_IFREG|0o600, 0)
		}
	}
	say(err)
}}

func writeFile(path string, n int64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, make([]byte, n), 0o600)
}

// fillDescriptors writes to the descriptors from 3 on until none takes any more.
func fillDescriptors(n int) error {
	b := make([]byte, 4<<10)
	for fd := 3; fd < 3+n; fd++ {
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
		for {
			if _, err := unix.Write(fd, b); errors.Is(err, unix.EAGAIN) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// FillTmpfs writes up to Target.Bytes to a file below each of Target.Paths and makes up to
// Target.Count empty files there, and holds at "full".
var FillTmpfs = Attack{Name: "memory.tmpfs-size", Run: func(a *Attempt) {
	for _, path := range a.Target.Paths {
		dir := filepath.Join(a.Inside(path), a.Target.Name)
		if !a.Try("mkdir "+path, os.MkdirAll(dir, 0o755)) {
			continue
		}
		var err error
		n := 0
		for ; n < a.Target.Count && err == nil; n++ {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600)
		}
		a.Try(fmt.Sprintf("create files in %s (%d)", path, n), err)
		a.Try("write to "+path, fillFile(filepath.Join(dir, "0"), a.Target.Bytes))
	}
	a.Hold("full")
}}

func fillFile(path string, n int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // its size is what counts
	b := make([]byte, 64<<10)
	for ; n > 0; n -= int64(len(b)) {
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// CacheFile is a neighbour whose memory is page cache: it reads Target.Bytes of the device Target.Path,
// on the word go, so that the kernel can take the memory back at any time.
var CacheFile = Attack{Name: "memory.protected/neighbour", Run: func(a *Attempt) {
	var b [1]byte
	if n, _ := a.in.Read(b[:]); n != 1 {
		return
	}
	f, err := os.Open(a.Target.Path)
	if err == nil {
		_, err = io.CopyN(io.Discard, f, a.Target.Bytes)
	}
	if err != nil {
		say(err)
		return
	}
	stay("full")
}}

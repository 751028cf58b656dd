package attack

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// HugePages has a part touch Target.Count huge pages of Target.Bytes each, and holds at "grown".
var HugePages = Attack{Name: "memory.hugetlb", Run: func(a *Attempt) {
	h, err := a.part(hugeHog, a.Target)
	if a.Try("start a hog", err) {
		what := fmt.Sprintf("touch %d huge pages", a.Target.Count)
		said := h.hears()
		if n, err := strconv.Atoi(said); err == nil { // an errno
			a.Try(what, unix.Errno(n))
		} else if said == "full" {
			a.Try(what, nil)
		} else {
			a.Try(what, unix.EFAULT) // SIGBUS
		}
		a.Hold("grown")
		h.end()
	}
}}

var hugeHog = Attack{Name: "memory.hugetlb/hog", Run: func(a *Attempt) {
	for range a.Target.Count {
		// Pages one by one, so that a refusal leaves those that were allowed.
		const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_HUGETLB
		b, err := unix.Mmap(-1, 0, int(a.Target.Bytes), unix.PROT_READ|unix.PROT_WRITE, flags)
		if errno, ok := err.(unix.Errno); ok { //nolint:errorlint // straight from the call
			stay(strconv.Itoa(int(errno)))
		}
		b[0] = 1
	}
	stay("full")
}}

// OtherNodes binds memory to each of the nodes that Target.Extra lists, "1 3", touches it, and
// holds at "placed".
var OtherNodes = Attack{Name: "memory.cpuset-mems", Run: func(a *Attempt) {
	for word := range strings.FieldsSeq(a.Target.Extra) {
		node, err := strconv.Atoi(word)
		if err != nil || node >= 1024 {
			continue
		}
		b, err := unix.Mmap(-1, 0, int(a.Target.Bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if !a.Try("mmap", err) {
			return
		}
		var mask [1024 / 64]uint64
		mask[node/64] = 1 << (node % 64)
		_, _, errno := unix.Syscall6(unix.SYS_MBIND, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
			unix.MPOL_BIND, uintptr(unsafe.Pointer(&mask)), uintptr(len(mask)*64), 0)
		a.Try("mbind to node "+word, asError(errno))
		_, _, errno = unix.Syscall(unix.SYS_SET_MEMPOLICY, unix.MPOL_BIND, uintptr(unsafe.Pointer(&mask)), uintptr(len(mask)*64))
		a.Try("set_mempolicy to node "+word, asError(errno))
		touch(b, 0)
	}
	a.Hold("placed")
}}

const (
	mlockOnFault = 1  // MLOCK_ONFAULT of asm-generic/mman-common.h
	shmLock      = 11 // SHM_LOCK of linux/shm.h
)

// Lock locks Target.Bytes in memory by every call that can, and holds after each.
var Lock = Attack{Name: "memory.mlock", Run: func(a *Attempt) {
	useHard(unix.RLIMIT_MEMLOCK)
	b, err := unix.Mmap(-1, 0, int(a.Target.Bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if !a.Try("mmap", err) {
		return
	}
	a.Try("mlock", unix.Mlock(b))
	a.Hold("mlock")
	_ = unix.Munlock(b)
	_, _, errno := unix.Syscall(unix.SYS_MLOCK2, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), mlockOnFault)
	a.Try("mlock2", asError(errno))
	a.Hold("mlock2")
	_ = unix.Munlock(b)
	_, err = unix.Mmap(-1, 0, int(a.Target.Bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_LOCKED)
	a.Try("mmap MAP_LOCKED", err)
	a.Hold("mmap")
	if id, err := segment(a.Target.Bytes); a.Try("make a System V segment", err) {
		_, err := unix.SysvShmCtl(id, shmLock, nil)
		a.Try("shmctl SHM_LOCK", err)
		a.Hold("shm")
	}
	a.Try("settle", settle()) // what the Go runtime maps from here on would be locked too
	future := unix.Mlockall(unix.MCL_FUTURE)
	_, _, errno = unix.RawSyscall6(unix.SYS_MMAP, 0, uintptr(a.Target.Bytes), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0), 0)
	_ = unix.Munlockall()
	a.Try("mlockall MCL_FUTURE", future)
	a.Try("mmap after mlockall", asError(errno))
}}

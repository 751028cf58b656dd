package attack

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

var ipcAttacks = []Attack{
	SysV,
	PosixQueue,
	AbstractSocket,
	LandlockScope,
	DevShm,
}

// SysV looks for the shared memory, the semaphore and the message queue of Target.Key, and
// takes from each what it can.
var SysV = Attack{Name: "ipc.sysv", Run: func(a *Attempt) {
	key := a.Target.Key
	id, err := unix.SysvShmGet(key, 0, 0)
	if a.Try("shmget", err) {
		b, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
		if a.Try("shmat", err) {
			a.Saw(text(b))
		}
	}
	sem, _, errno := unix.Syscall(unix.SYS_SEMGET, uintptr(key), 0, 0)
	if a.Try("semget", asError(errno)) {
		const setval = 16 // SETVAL of linux/sem.h
		_, _, errno := unix.Syscall6(unix.SYS_SEMCTL, sem, 0, setval, 1, 0, 0)
		a.Try("semctl SETVAL", asError(errno))
	}
	queue, _, errno := unix.Syscall(unix.SYS_MSGGET, uintptr(key), 0, 0)
	if a.Try("msgget", asError(errno)) {
		message := make([]byte, 8+128) // struct msgbuf of msgop(2): the type, then the text
		_, _, errno := unix.Syscall6(unix.SYS_MSGRCV, queue, uintptr(unsafe.Pointer(&message[0])), 128, 0, unix.IPC_NOWAIT, 0)
		if a.Try("msgrcv", asError(errno)) {
			a.Saw(text(message[8:]))
		}
	}
}}

// PosixQueue opens the queue Target.Name by its name and through /dev/mqueue, and receives from
// it.
var PosixQueue = Attack{Name: "ipc.posix-queue", Run: func(a *Attempt) {
	name, err := unix.BytePtrFromString(a.Target.Name)
	if err != nil {
		return
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0, 0, 0, 0)
	if a.Try("mq_open", asError(errno)) {
		a.receive(int(fd))
	}
	file, err := unix.Open("/dev/mqueue/"+a.Target.Name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if a.Try("open /dev/mqueue/"+a.Target.Name, err) {
		a.receive(file)
	}
}}

func (a *Attempt) receive(queue int) {
	message := make([]byte, 128)
	_, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(queue), uintptr(unsafe.Pointer(&message[0])), uintptr(len(message)), 0, 0, 0)
	if a.Try("mq_timedreceive", asError(errno)) {
		a.Saw(text(message))
	}
}

// AbstractSocket connects to the abstract socket Target.Name and passes a descriptor.
var AbstractSocket = Attack{Name: "ipc.abstract-socket", Run: func(a *Attempt) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if !a.Try("socket AF_UNIX", err) {
		return
	}
	if a.Try("connect @"+a.Target.Name, unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + a.Target.Name})) {
		a.Try("sendmsg SCM_RIGHTS", unix.Sendmsg(fd, []byte{0}, unix.UnixRights(0), nil, 0))
	}
}}

// DevShm opens Target.Name below /dev/shm, which is what shm_open(3) does.
var DevShm = Attack{Name: "ipc.dev-shm", Run: func(a *Attempt) {
	a.ReadFile("/dev/shm/" + a.Target.Name)
}}

// text is what stands before the first NUL byte.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

var abstractAttacks = []Attack{
	OpenFiles,
	MessageQueues,
	PendingSignals,
	Terminals,
	Inotify,
	InotifyBeside,
	Namespaces,
	Keys,
	KeyBeside,
	InFlight,
	CgroupTree,
}

// OpenFiles opens and duplicates up to Target.Count descriptors and holds at "full".
var OpenFiles = Attack{Name: "abstract.open-files", Run: func(a *Attempt) {
	var opened, copied error
	for i := 0; i < a.Target.Count && (opened == nil || copied == nil); i += 2 {
		if opened == nil {
			_, opened = unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		if copied == nil {
			_, copied = unix.Dup(0)
		}
	}
	a.Try("open", opened)
	a.Try("dup", copied)
	a.Hold("full")
}}

// mqAttr is struct mq_attr: mq_getattr(3).
type mqAttr struct {
	flags, maxMessages, messageSize, messages int
	_                                         [4]int
}

// Sizes of each queue of MessageQueues.
const (
	queueMessages = 10
	QueueBytes    = queueMessages * 1024
)

// MessageQueues opens up to Target.Count queues of QueueBytes each, of which nobody else can have
// the name any more, and holds at "full".
var MessageQueues = Attack{Name: "abstract.mqueue-bytes", Run: func(a *Attempt) {
	useHard(unix.RLIMIT_MSGQUEUE)
	var err error
	n := 0
	for ; n < a.Target.Count && err == nil; n++ {
		name, nameErr := unix.BytePtrFromString(fmt.Sprintf("%s-%d", a.Target.Name, n))
		if nameErr != nil {
			return
		}
		attr := mqAttr{maxMessages: queueMessages, messageSize: QueueBytes / queueMessages}
		_, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)),
			unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600, uintptr(unsafe.Pointer(&attr)), 0, 0)
		if err = asError(errno); err == nil {
			// It stays as long as it is open, and no longer.
			_, _, _ = unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0)
		}
	}
	a.Try(fmt.Sprintf("mq_open (%d)", n), err)
	a.Hold("full")
}}

// PendingSignals queues up to Target.Count signals to its own thread, which blocks them, and holds
// at "signals"; then it makes as many timers, each of which has a signal in reserve.
var PendingSignals = Attack{Name: "abstract.pending-signals", Run: func(a *Attempt) {
	useHard(unix.RLIMIT_SIGPENDING)
	const signal = 42 // a real-time signal that the Go runtime has no use for
	var mask unix.Sigset_t
	mask.Val[0] = 1 << (signal - 1)
	if !a.Try("block the signal", unix.PthreadSigmask(unix.SIG_BLOCK, &mask, nil)) {
		return
	}
	// siginfo_t: three ints, and room for the rest.
	info := struct {
		signo, errno, code int32
		_                  [29]int32
	}{signo: signal, code: -1} // SI_QUEUE
	var err error
	n := 0
	for ; n < a.Target.Count && err == nil; n++ {
		_, _, errno := unix.Syscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(os.Getpid()), uintptr(unix.Gettid()), signal, uintptr(unsafe.Pointer(&info)), 0, 0)
		err = asError(errno)
	}
	a.Try(fmt.Sprintf("rt_tgsigqueueinfo (%d)", n), err)
	a.Hold("signals")
	// sigevent: value, signo, notify, and room for the rest.
	event := struct {
		value         uintptr
		signo, notify int32
		_             [12]int32
	}{signo: signal, notify: 0} // SIGEV_SIGNAL
	for n, err = 0, nil; n < a.Target.Count && err == nil; n++ {
		var id int32
		_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id)))
		err = asError(errno)
	}
	a.Try(fmt.Sprintf("timer_create (%d)", n), err)
	a.Hold("timers")
}}

// Terminals opens up to Target.Count pseudo-terminals and holds at "full".
var Terminals = Attack{Name: "abstract.ptys", Run: func(a *Attempt) {
	var err error
	n := 0
	for ; n < a.Target.Count && err == nil; n++ {
		_, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}
	a.Try(fmt.Sprintf("open /dev/ptmx (%d)", n), err)
	a.Hold("full")
}}

// Inotify makes up to Target.Count inotify instances, the first with a watch, and holds at "full".
var Inotify = Attack{Name: "abstract.inotify", Run: func(a *Attempt) {
	made, err := inotify(a.Target.Count)
	a.Try(fmt.Sprintf("inotify_init1 (%d)", made), err)
	a.Hold("full")
}}

func inotify(n int) (made int, err error) {
	for ; made < n && err == nil; made++ {
		var fd int
		// Each instance that has had a watch is slow to close.
		if fd, err = unix.InotifyInit1(unix.IN_CLOEXEC); err == nil && made == 0 {
			_, err = unix.InotifyAddWatch(fd, "/", unix.IN_DELETE_SELF)
		}
	}
	return made, err
}

// InotifyBeside is a neighbour that, as Target.UID, makes Target.Count instances.
var InotifyBeside = Attack{Name: "abstract.inotify/neighbour", Run: func(a *Attempt) {
	err := become(a.Target.UID)
	if err == nil {
		_, err = inotify(a.Target.Count)
	}
	say(err)
}}

// Keys adds up to Target.Count keys to its process keyring and holds at "full".
var Keys = Attack{Name: "abstract.keys", Run: func(a *Attempt) {
	made, err := keys(a.Target.Count)
	a.Try(fmt.Sprintf("add_key (%d)", made), err)
	a.Hold("full")
}}

func keys(n int) (made int, err error) {
	for ; made < n && err == nil; made++ {
		_, err = unix.AddKey("user", fmt.Sprintf("cellwall:%d", made), []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
	}
	return made, err
}

// KeyBeside is a neighbour that, as Target.UID, adds Target.Count keys.
var KeyBeside = Attack{Name: "abstract.keys/neighbour", Run: func(a *Attempt) {
	err := become(a.Target.UID)
	if err == nil {
		_, err = keys(a.Target.Count)
	}
	say(err)
}}

// InFlight sends up to Target.Count descriptors, each of a file of its own, into socket pairs that
// nobody reads, and holds at "parked".
var InFlight = Attack{Name: "abstract.inflight-fds", Run: func(a *Attempt) {
	const together = 16
	var err error
	n := 0
	for n < a.Target.Count && err == nil {
		var pair [2]int
		if pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			break
		}
		var fds []int
		for range together {
			fd, openErr := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if openErr != nil {
				err = openErr
				break
			}
			fds = append(fds, fd)
		}
		if err == nil {
			if err = unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(fds...), nil, 0); err == nil {
				n += together
			}
		}
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		_ = unix.Close(pair[0]) // the other end keeps what has been sent
	}
	a.Try(fmt.Sprintf("sendmsg SCM_RIGHTS (%d descriptors)", n), err)
	a.Hold("parked")
}}

// CgroupTree makes up to Target.Count cgroups below its own, side by side, and then one below the
// other, and holds at "wide" and "deep".
var CgroupTree = Attack{Name: "abstract.cgroup-tree", Run: func(a *Attempt) {
	dir, _, ok := a.ownGroup("", "cgroup.events")
	if !ok {
		return
	}
	var err error
	n := 0
	for ; n < a.Target.Count && err == nil; n++ {
		err = os.Mkdir(filepath.Join(dir, fmt.Sprintf("wide-%d", n)), 0o755)
	}
	a.Try(fmt.Sprintf("mkdir wide (%d)", n), err)
	a.Hold("wide")
	for i := range n {
		_ = os.Remove(filepath.Join(dir, fmt.Sprintf("wide-%d", i)))
	}
	below := dir
	for n, err = 0, nil; n < a.Target.Count && err == nil; n++ {
		below = filepath.Join(below, "deep")
		err = os.Mkdir(below, 0o755)
	}
	a.Try(fmt.Sprintf("mkdir deep (%d)", n), err)
	a.Hold("deep")
	for ; strings.HasSuffix(below, "deep"); below = filepath.Dir(below) {
		_ = os.Remove(below)
	}
}}

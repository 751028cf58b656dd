package kernel

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A kernel that lacks a system call answers ENOSYS. Here a seccomp filter does, so that every
// gate is seen to say no.
var denials = map[string]struct {
	numbers []uint32
	absent  []*Feature
	unknown []*Feature // those whose question cannot be put any more
}{
	"calls": {
		numbers: []uint32{
			unix.SYS_OPENAT2, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_FSOPEN, unix.SYS_PIDFD_OPEN,
			unix.SYS_CLOSE_RANGE, unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_KEYCTL, unix.SYS_SHMCTL,
			unix.SYS_MQ_OPEN, unix.SYS_SOCKET, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_IO_URING_SETUP,
			unix.SYS_IO_SETUP, unix.SYS_USERFAULTFD,
		},
		absent: []*Feature{
			Openat2, MountSetattr, PidfdOpen, PidfdSendSignal, PidfdGetfd, WaitidPidfd, CloseRange, CloseRangeCloexec,
			LandlockFS, LandlockNet, LandlockScope, Keyrings, SysVIPC, PosixMQ, Loopback, IPv6, Packet, Vsock, Alg,
			NetlinkAudit, NetlinkRoute, BPF, BPFCgroupDevice, PerfEventOpen, IOUring, AIO, Userfaultfd, UserfaultfdUser,
		},
		unknown: []*Feature{MoveMount, Fsopen, Tmpfs, Devpts, Mqueue, Cgroup2, Overlay},
	},
	"pidfds": {
		numbers: []uint32{unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_WAITID},
		absent:  []*Feature{PidfdGetfd, PidfdSendSignal, WaitidPidfd},
	},
	"mounts": {
		numbers: []uint32{unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_FSOPEN},
		absent: []*Feature{
			MoveMount, MountSetattr, Fsopen, Tmpfs, Devpts, Mqueue, Cgroup2, ProcInUserNamespace, SysfsInUserNamespace,
		},
	},
	"children": {
		numbers: []uint32{unix.SYS_UNSHARE, unix.SYS_SECCOMP},
		absent:  []*Feature{UserNamespace, UnprivilegedUserNamespace, TimeAtExecUnshare, Seccomp, SeccompTsync, SeccompNotify},
	},
	"prctl": {
		numbers: []uint32{unix.SYS_PRCTL}, // also the child's first step, which is no question
		unknown: []*Feature{Clone3, CloneClearSighand, UserNamespace, NoNewPrivs, Seccomp},
	},
	"clone3": {
		numbers: []uint32{unix.SYS_CLONE3},
		absent:  []*Feature{Clone3},
		unknown: []*Feature{
			MountNamespace, UserNamespace, TimeAtExecClone, CloneClearSighand, CloneIntoCgroup, I386, Seccomp, NoNewPrivs,
			Tmpfs, Overlay,
		},
	},
}

func TestGatesSayNoWhereTheKernelDoes(t *testing.T) {
	for mode, want := range denials {
		t.Run(mode, func(t *testing.T) {
			answers := askIn(t, mode, nil)
			for _, f := range want.absent {
				if a := answers[f.Name]; a.kind != lacking {
					t.Errorf("%s is %+v, want absent", f.Name, a)
				}
			}
			for _, f := range want.unknown {
				// The i386 gate of another machine knows without asking.
				if a := answers[f.Name]; a.kind != unknown && a.cause != Hardware {
					t.Errorf("%s is %+v, want unknown", f.Name, a)
				}
			}
		})
	}
}

func prepare(mode string) error {
	deny, ok := denials[mode]
	if !ok && mode != "plain" {
		return fmt.Errorf("no mode %q", mode)
	}
	if !ok {
		return nil
	}
	code := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for i, number := range deny.numbers {
		code = append(code, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jt: uint8(len(deny.numbers) - i)})
	}
	code = append(code,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(&program)
	return asError(errno)
}

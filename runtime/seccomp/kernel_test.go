package seccomp

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// childVar holds the job of a re-executed test binary: a filter cannot be taken off again.
const childVar = "CELLWALL_SECCOMP_JOB"

// job is a profile and the calls to make under it.
type job struct {
	Profile *specs.LinuxSeccomp
	Calls   [][]uintptr // number, then arguments
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childVar); text != "" {
		if err := runJob(text); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runJob loads the profile for all threads and writes the calls' errnos as JSON.
func runJob(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	p, err := Compile(j.Profile)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(p.Filters)), Filter: &p.Filters[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(p.Flags|unix.SECCOMP_FILTER_FLAG_TSYNC), uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	errnos := []int{}
	for _, c := range j.Calls {
		var a [7]uintptr
		copy(a[:], c)
		_, _, errno := unix.RawSyscall6(a[0], a[1], a[2], a[3], a[4], a[5], a[6])
		errnos = append(errnos, int(errno))
	}
	return json.NewEncoder(os.Stdout).Encode(errnos)
}

// inChild returns the errnos of a job's calls.
func inChild(t *testing.T, j job) (errnos []unix.Errno, err error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVar+"="+asJSON(j))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var numbers []int
	if err := json.Unmarshal(out, &numbers); err != nil || len(numbers) != len(j.Calls) {
		t.Fatalf("the child wrote %q", out)
	}
	for _, n := range numbers {
		errnos = append(errnos, unix.Errno(n))
	}
	return errnos, nil
}

func TestKernelEnforcesTheDefault(t *testing.T) {
	const high = 1 << 32
	none := ^uintptr(0) // a descriptor that is not open: EBADF shows that the call got through
	cases := []struct {
		about string
		call  []uintptr
		want  unix.Errno
	}{
		{about: "getpid", call: []uintptr{unix.SYS_GETPID}, want: 0},
		{about: "keyctl", call: []uintptr{unix.SYS_KEYCTL}, want: unix.EPERM},
		{about: "userfaultfd", call: []uintptr{unix.SYS_USERFAULTFD}, want: unix.EPERM},
		{about: "io_uring_setup", call: []uintptr{unix.SYS_IO_URING_SETUP}, want: unix.EPERM},
		{about: "clone3", call: []uintptr{unix.SYS_CLONE3}, want: unix.ENOSYS},
		{about: "unshare", call: []uintptr{unix.SYS_UNSHARE, unix.CLONE_NEWUSER}, want: unix.EPERM},
		{about: "listns, newer than the profile", call: []uintptr{470}, want: unix.ENOSYS},
		{about: "no call at all", call: []uintptr{5000}, want: unix.ENOSYS},
		{about: "TIOCGWINSZ", call: []uintptr{unix.SYS_IOCTL, none, unix.TIOCGWINSZ}, want: unix.EBADF},
		{about: "TIOCGWINSZ with high bits", call: []uintptr{unix.SYS_IOCTL, none, unix.TIOCGWINSZ | high}, want: unix.EBADF},
		{about: "TIOCSTI", call: []uintptr{unix.SYS_IOCTL, none, unix.TIOCSTI}, want: unix.EPERM},
		{about: "TIOCSTI with high bits", call: []uintptr{unix.SYS_IOCTL, none, unix.TIOCSTI | high}, want: unix.EPERM},
		{about: "TIOCLINUX with high bits", call: []uintptr{unix.SYS_IOCTL, none, tiocLinux | 0xffff*high}, want: unix.EPERM},
		{about: "AF_UNIX", call: []uintptr{unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM}, want: 0},
		{about: "AF_VSOCK", call: []uintptr{unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM}, want: unix.EPERM},
		{about: "AF_ALG", call: []uintptr{unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET}, want: unix.EPERM},
		{about: "AF_UNIX pair of a bad type", call: []uintptr{unix.SYS_SOCKETPAIR, unix.AF_UNIX, 15}, want: unix.EFAULT}, // the array is asked for first
		{about: "AF_VSOCK pair of a bad type", call: []uintptr{unix.SYS_SOCKETPAIR, unix.AF_VSOCK, 15}, want: unix.EPERM},
		{about: "personality, as it is", call: []uintptr{unix.SYS_PERSONALITY, 0xffffffff}, want: 0},
		{about: "ADDR_NO_RANDOMIZE", call: []uintptr{unix.SYS_PERSONALITY, 0x0040000}, want: unix.EPERM},
	}
	j := job{Profile: mustDefault(t, specWith())}
	for _, c := range cases {
		j.Calls = append(j.Calls, c.call)
	}
	got, err := inChild(t, j)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if got[i] != c.want {
			t.Errorf("%s: errno %d (%v), want %d", c.about, got[i], got[i], c.want)
		}
	}
	// The same calls under a filter that allows all: what refused above was the filter.
	j.Profile = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	free, err := inChild(t, j)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if c.want == unix.EPERM && c.call[0] == unix.SYS_IOCTL && free[i] != unix.EBADF {
			t.Errorf("%s without the rule: errno %d, want EBADF", c.about, free[i])
		}
	}
}

func TestKernelKills(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"sethostname"}, Action: specs.ActKillProcess}}}
	if got, err := inChild(t, job{Profile: s, Calls: [][]uintptr{{unix.SYS_GETPID}}}); err != nil || got[0] != 0 {
		t.Fatalf("control: %v, %v", got, err)
	}
	_, err := inChild(t, job{Profile: s, Calls: [][]uintptr{{unix.SYS_SETHOSTNAME}}})
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%v, want a death", err)
	}
	if status := exit.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != unix.SIGSYS {
		t.Errorf("%v, want SIGSYS", exit)
	}
}

// Errno, arguments and the x32 bit as the kernel sees them.
func TestKernelAnswersRules(t *testing.T) {
	e := uint(unix.EXDEV)
	s := &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"sethostname"}, Action: specs.ActErrno, ErrnoRet: &e, Args: []specs.LinuxSeccompArg{{Index: 1, Op: specs.OpGreaterThan, Value: 1 << 33}}},
			{Names: []string{"sethostname"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 1, Op: specs.OpLessEqual, Value: 1 << 33}, {Index: 5, Op: specs.OpNotEqual, Value: 7}}},
		},
	}
	got, err := inChild(t, job{Profile: s, Calls: [][]uintptr{
		{unix.SYS_SETHOSTNAME, 0, 1<<33 + 1},
		{unix.SYS_SETHOSTNAME, 0, 1 << 33},
		{unix.SYS_SETHOSTNAME, 0, 1<<34 | 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []unix.Errno{unix.EXDEV, unix.EPERM, unix.EXDEV}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

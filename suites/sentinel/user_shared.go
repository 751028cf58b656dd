package sentinel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// sharedDir is a directory that host and container share: one of the root directory, so that it is
// there at every rung.
const sharedDir = "/volume"

// share makes the volume, with a mode that the umask does not change, and returns its host path.
func (s *Stage) share(mode os.FileMode) (string, error) {
	if err := s.original(); err != nil {
		return "", err
	}
	path := filepath.Join(s.Rootfs, sharedDir)
	if err := os.Mkdir(path, mode); err != nil {
		return "", fmt.Errorf("make volume: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return "", fmt.Errorf("make volume: %w", err)
	}
	return path, nil
}

// helper puts the helper into the root directory, mode 0755 and owned by root, and returns its
// host path.
func (s *Stage) helper(name string) (string, error) {
	path := filepath.Join(s.Rootfs, name)
	if err := os.WriteFile(path, attack.Helper(), 0o755); err != nil { // to be executed
		return "", fmt.Errorf("make helper: %w", err)
	}
	if err := os.Chmod(path, 0o755); err != nil { // to be executed
		return "", fmt.Errorf("make helper: %w", err)
	}
	return path, nil
}

// freeOf returns an error where the mount that the stage is on has a flag, such as "nosuid": what needs
// set-user-ID bits, or devices, then fails whatever the container.
func (s *Stage) freeOf(flag string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(s.Rootfs, &st); err != nil {
		return fmt.Errorf("look at the stage's file system: %w", err)
	}
	if st.Flags&flagBits[flag] != 0 {
		return kernel.Unsupported("%s is on a file system that is mounted %s: no control could gain anything", s.Rootfs, flag)
	}
	return nil
}

// gainable returns an error where nobody can gain privileges by executing a program: this process has
// no_new_privs, and so have all that it starts.
func gainable() error {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("ask for no_new_privs: %w", err)
	}
	if set == 1 {
		return kernel.Unsupported("cellwall runs with no_new_privs: no control could gain anything")
	}
	return nil
}

// owner returns the uid and gid of a file, and whether it is there. It follows no link.
func owner(path string) (st unix.Stat_t, there bool, err error) {
	err = unix.Lstat(path, &st)
	if errors.Is(err, unix.ENOENT) {
		return st, false, nil
	}
	if err != nil {
		return st, false, fmt.Errorf("look at a file of the container: %w", err)
	}
	return st, true, nil
}

// runAs executes the helper at path as a host uid, and returns its /proc/PID/status while it
// waits. A container wrote what lies there: anything but the helper is an error, and not run.
func runAs(path string, uid uint32) (status string, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open what the container planted: %w", err)
	}
	found := os.NewFile(uintptr(fd), path)
	defer found.Close() //nolint:errcheck // read-only
	want := attack.Helper()
	is, err := io.ReadAll(io.LimitReader(found, int64(len(want)+1)))
	if err != nil {
		return "", fmt.Errorf("read what the container planted: %w", err)
	}
	if !bytes.Equal(is, want) {
		return "", errors.New("what the container planted is not the helper, so it is not run")
	}
	program, err := executable(path)
	if err != nil {
		return "", err
	}
	defer program.Close() //nolint:errcheck // read-only
	if err := same(found, program); err != nil {
		return "", err
	}
	cmd := exec.Command(procPath(program))
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig:  syscall.SIGKILL,
		Credential: &syscall.Credential{Uid: uid, Gid: uid},
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", fmt.Errorf("run what the container planted: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("run what the container planted: %w", err)
	}
	runtime.LockOSThread() // for Pdeathsig: the thread must not end before the process
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("run what the container planted: %w", err)
	}
	defer func() {
		var exit *exec.ExitError
		closeErr := in.Close()
		if waitErr := cmd.Wait(); waitErr != nil && !errors.As(waitErr, &exit) {
			err = errors.Join(err, waitErr)
		}
		err = errors.Join(err, closeErr)
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return "", fmt.Errorf("wait for what the container planted to run: %w", err)
	}
	return statusOf(cmd.Process.Pid)
}

// same says that two descriptors are of one file.
func same(a, b *os.File) error {
	var x, y unix.Stat_t
	if err := errors.Join(unix.Fstat(int(a.Fd()), &x), unix.Fstat(int(b.Fd()), &y)); err != nil {
		return fmt.Errorf("look at what the container planted: %w", err)
	}
	if x.Dev != y.Dev || x.Ino != y.Ino {
		return errors.New("what the container planted was exchanged, so it is not run")
	}
	return nil
}

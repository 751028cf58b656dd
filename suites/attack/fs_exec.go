package attack

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var fsExecAttacks = []Attack{
	fsHelper,
	fsExecveat,
	NosuidVolume,
	NoexecVolume,
	BundlePrivate,
}

// fsHelper is a program that waits to be looked at: until its standard input ends.
var fsHelper = Attack{Name: "fs/helper", Run: func(*Attempt) {
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}}

// fsExecveat becomes the helper in the file Target.Path by execveat(2), or says the errno.
var fsExecveat = Attack{Name: "fs/execveat", Run: func(a *Attempt) {
	fd, err := unix.Open(a.Target.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		err = execveat(fd, []string{Program, fsHelper.Name, "{}"})
	}
	if errno, ok := err.(unix.Errno); ok { //nolint:errorlint // unwrapped
		fmt.Println("errno", int(errno))
	}
}}

// pipes connects a command that has not started; that it cannot be is noted.
func (a *Attempt) pipes(cmd *exec.Cmd) (in io.WriteCloser, out io.Reader, ok bool) {
	in, err := cmd.StdinPipe()
	if err == nil {
		out, err = cmd.StdoutPipe()
	}
	if err != nil {
		a.Try("make a pipe", err)
	}
	return in, out, err == nil
}

// helper runs a program that waits as fsHelper does, notes the try, and while it runs holds at a
// point of that name.
func (a *Attempt) helper(call, hold string, cmd *exec.Cmd) {
	cmd.Stderr = os.Stderr // os/exec would open /dev/null, which a bare root directory lacks
	in, out, ok := a.pipes(cmd)
	if !ok {
		return
	}
	if err := cmd.Start(); err != nil {
		a.Try(call, err)
		return
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if number, ok := strings.CutPrefix(strings.TrimSpace(line), "errno "); ok {
		n, _ := strconv.Atoi(number)
		err = unix.Errno(n)
	}
	if a.Try(call, err) {
		a.Hold(hold)
	}
	_ = in.Close()
	_ = cmd.Wait()
}

// other is a command that runs the file at path as the helper.
func (a *Attempt) other(path string) *exec.Cmd {
	cmd := a.AgainAt(fsHelper, Target{})
	cmd.Path, cmd.Args[0] = path, Program
	return cmd
}

// NosuidVolume runs the helper in the file Target.Path, which is set-user-ID root.
var NosuidVolume = Attack{Name: "fs.nosuid", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	a.helper("execve "+path, "helper", a.other(path))
}}

// NoexecVolume runs the helper in the file Target.Path, by execve(2) and execveat(2), and maps
// it executable.
var NoexecVolume = Attack{Name: "fs.noexec", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	a.helper("execve "+path, "execve", a.other(path))
	a.helper("execveat "+path, "execveat", a.AgainAt(fsExecveat, Target{Path: path}))
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if !a.Try("open "+path, err) {
		return
	}
	m, err := unix.Mmap(fd, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	if a.Try("mmap executable", err) {
		a.Hold("mmap")
		_ = unix.Munmap(m)
	}
}}

// BundlePrivate plants a set-user-ID helper at Target.Path in its root directory, for a user of
// the host to run.
var BundlePrivate = Attack{Name: "fs.bundle-private", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	self, err := os.Open(os.Args[0])
	if !a.Try("open "+os.Args[0], err) {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if !a.Try("create "+path, err) {
		return
	}
	_, err = io.Copy(f, self)
	a.Try("write "+path, err)
	a.Try("close "+path, f.Close())
	a.Try("chmod u+s "+path, unix.Chmod(path, unix.S_ISUID|0o755))
	a.Hold("planted")
}}

package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"cellwall/ci/vm/guest"
)

const (
	fakeKernelName = "fake-kernel"
	fakePort       = "vport0p1"
	fakeInitramfs  = 3
)

// boot runs the /init of the initramfs as process 1 of new namespaces, on a tmpfs on dir. The
// port is a pseudo terminal.
func (m fakeMachine) boot(dir string) error {
	runtime.LockOSThread() // for Pdeathsig
	defer runtime.UnlockOSThread()
	initramfs, err := os.Open(m.initramfs)
	if err != nil {
		return err
	}
	master, slave, err := pseudoTerminal()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{fakeKernelName, dir, slave.Name()}
	cmd.Env = []string{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = m.console, m.console, m.console
	cmd.ExtraFiles = []*os.File{initramfs}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP,
		Pdeathsig:  unix.SIGKILL,
	}
	fmt.Fprintf(m.console, "\x1b[2JSeaBIOS\r\nfake kernel\r\n")
	if err := cmd.Start(); err != nil {
		return err
	}
	go io.Copy(master, m.channel)
	done := make(chan struct{})
	go func() { defer close(done); io.Copy(m.channel, master) }()
	err = cmd.Wait()
	if e := slave.Close(); e != nil { // only now does the master come to an end
		return e
	}
	<-done
	// reboot_pid_ns: init is killed, and the status says SIGINT for any power off.
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == unix.SIGINT {
		fmt.Fprintf(m.console, "reboot: Power down\r\n")
		return nil
	}
	fmt.Fprintf(m.console, "Kernel panic - not syncing: Attempted to kill init! %v\r\n", err)
	return nil
}

func pseudoTerminal() (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	other, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	raw, err := unix.IoctlGetTermios(other, unix.TCGETS)
	if err != nil {
		return nil, nil, err
	}
	raw.Iflag, raw.Oflag, raw.Lflag = 0, 0, 0
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	return os.NewFile(uintptr(fd), "master"), os.NewFile(uintptr(other), name), unix.IoctlSetTermios(other, unix.TCSETS, raw)
}

// kept are the capabilities that init needs; the others are given up, so that nothing that it
// does could reach this host.
var kept = map[uintptr]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FOWNER: true, unix.CAP_FSETID: true, unix.CAP_KILL: true,
	unix.CAP_SETGID: true, unix.CAP_SETUID: true, unix.CAP_NET_ADMIN: true, unix.CAP_SYS_CHROOT: true, unix.CAP_SYS_ADMIN: true,
	unix.CAP_SYS_BOOT: true, unix.CAP_MKNOD: true,
}

// fakeKernel is process 1 of the new namespaces. It does what a kernel does until it starts
// /init, but gives it a root directory of its own from which nothing of the host can be seen.
func fakeKernel(dir, port string) int {
	err := func() error {
		if os.Getpid() != 1 {
			return errors.New("not process 1")
		}
		runtime.LockOSThread() // capabilities are a thread's
		if err := fakeHardware(dir, port); err != nil {
			return err
		}
		if err := inOrder(
			func() error { return unix.Chdir(dir) },
			func() error { return unix.PivotRoot(".", ".") },
			func() error { return unix.Unmount(".", unix.MNT_DETACH) },
			func() error { return unix.Chdir("/") },
		); err != nil {
			return fmt.Errorf("leave the host: %w", err)
		}
		if err := fakeUnpack(os.NewFile(fakeInitramfs, "initramfs")); err != nil {
			return err
		}
		if err := harmless(); err != nil {
			return err
		}
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			if kept[c] {
				continue
			}
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				return err
			}
		}
		// A kernel gives init no more than three.
		if err := unix.CloseRange(fakeInitramfs, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
			return err
		}
		return unix.Exec("/init", []string{"/init"}, []string{"HOME=/", "TERM=linux"})
	}()
	fmt.Fprintf(os.Stderr, "fake kernel: %v\n", err)
	return 1
}

// fakeHardware mounts what stands for devtmpfs, and a /sys with the port.
func fakeHardware(dir, port string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	mount := func(source, target, kind string, flags uintptr, data string) func() error {
		return func() error { return unix.Mount(source, target, kind, flags, data) }
	}
	mkdir := func(name string) func() error { return func() error { return os.MkdirAll(name, 0o755) } }
	write := func(name, text string) func() error {
		return func() error { return os.WriteFile(name, []byte(text), 0o600) }
	}
	steps := []func() error{
		mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		mount("tmpfs", dir, "tmpfs", 0, "size=256m"),
		mkdir(at("dev")), write(at("dev/console"), ""), // of the initramfs, below what is mounted
		mount("tmpfs", at("dev"), "tmpfs", 0, "size=1m"),
		mkdir(at("sys")), mount("sysfs", at("sys"), "sysfs", 0, ""),
		mount("tmpfs", at("sys/class"), "tmpfs", 0, "size=1m"),
		mkdir(at("sys/class/virtio-ports/" + fakePort)),
		write(at("sys/class/virtio-ports/"+fakePort+"/name"), guest.Port+"\n"),
		write(at("dev/"+fakePort), ""), mount(port, at("dev/"+fakePort), "", unix.MS_BIND, ""),
	}
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		steps = append(steps, func() error {
			return unix.Mknod(at("dev/"+name), unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor)))
		})
	}
	return inOrder(steps...)
}

// inOrder does steps until one fails.
func inOrder(steps ...func() error) error {
	for i, do := range steps {
		if err := do(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func fakeUnpack(r io.Reader) error {
	members, err := readNewc(r)
	if err != nil {
		return err
	}
	for _, m := range members {
		name, perm := "/"+m.name, os.FileMode(m.mode&0o777)
		switch m.mode & unix.S_IFMT {
		case unix.S_IFDIR:
			if err = os.Mkdir(name, perm); errors.Is(err, os.ErrExist) {
				err = nil
			}
			err = errors.Join(err, unix.Chmod(name, m.mode&0o7777))
		case unix.S_IFREG:
			err = errors.Join(os.WriteFile(name, m.body, perm), unix.Chmod(name, m.mode&0o7777))
		case unix.S_IFLNK:
			err = os.Symlink(string(m.body), name)
		case unix.S_IFCHR: // on top of it is our /dev
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", m.name, err)
		}
	}
	return nil
}

// harmless takes out of the description what would reach the kernel of this host, and refuses what
// cannot be taken out.
func harmless() error {
	text, err := os.ReadFile(guest.DescriptionPath)
	if err != nil {
		return err
	}
	var d guest.Description
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	if d.Cgroup != "" || len(d.Modules) > 0 {
		return errors.New("control groups and modules are this host's")
	}
	d.Seed = nil
	if text, err = json.Marshal(d); err != nil {
		return err
	}
	return os.WriteFile(guest.DescriptionPath, text, 0o644)
}

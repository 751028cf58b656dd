package vm

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/ci/kernels"
	"cellwall/ci/vm/guest"
	"cellwall/runtime/rootfs"
)

const payloadName = "cellwall-test-payload"

// seen is what a command finds in its guest.
type seen struct {
	Mounts     string
	Root       []string
	Hostname   string
	Loopback   string
	Init       string
	Passwd     string
	Dir        string
	Env        []string
	Files      []string // descriptors
	Reaped     bool
	Roots      []string // file system and flags of directories for containers
	Mode       string   // of /usr/share/x/run
	Linked     string   // what /bin/tool is
	Descriptor string   // what /dev/fd is
}

const payloadRecords = 3000

// payload is the command in the guest.
func payload(args []string) int {
	switch args[0] {
	case "look":
		return look()
	case "leave": // ends, and leaves a process that holds all streams
		cmd := exec.Command("/proc/self/exe", payloadName, "sleep")
		cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, []*os.File{os.NewFile(guest.Records, "records")}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		return 9
	case "sleep":
		for {
			unix.Pause()
		}
	case "orphan": // starts a process that ends, after its parent
		r, w, _ := os.Pipe()
		cmd := exec.Command("/proc/self/exe", payloadName, "read")
		cmd.Stdin = r
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println(cmd.Process.Pid)
		_ = w // it ends with us, and so does the child
		return 0
	case "read":
		os.Stdin.Read(make([]byte, 1))
		return 0
	case "killed":
		unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return 99
}

func look() int {
	s := seen{Env: os.Environ()}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	s.Mounts, s.Init, s.Passwd = read("/proc/self/mountinfo"), read("/proc/1/cmdline"), read("/etc/passwd")
	entries, _ := os.ReadDir("/")
	for _, e := range entries {
		s.Root = append(s.Root, e.Name())
	}
	s.Hostname, _ = os.Hostname()
	s.Dir, _ = os.Getwd()
	if lo, err := net.InterfaceByName("lo"); err == nil {
		s.Loopback = lo.Flags.String()
	}
	for _, dir := range []string{"/", "/run", "/tmp"} {
		var fs unix.Statfs_t
		unix.Statfs(dir, &fs)
		s.Roots = append(s.Roots, fmt.Sprintf("%#x %#x", fs.Type, fs.Flags&(unix.ST_NOSUID|unix.ST_NODEV|unix.ST_NOEXEC)))
	}
	s.Linked = read("/bin/tool")
	s.Descriptor, _ = os.Readlink("/dev/fd")
	if info, err := os.Stat("/usr/share/x/run"); err == nil {
		s.Mode = info.Mode().String()
	}
	for fd := range 20 {
		if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && !strings.Contains(target, "anon_inode") {
			kind, _, _ := strings.Cut(target, ":")
			s.Files = append(s.Files, fmt.Sprint(fd, kind))
		}
	}
	s.Reaped = reaped()
	b, _ := json.Marshal(s)
	os.Stdout.Write(b)
	os.Stderr.Write(bytes.Repeat([]byte("0123456789abcdef"), 64<<10)) // 1 MiB
	records := os.NewFile(guest.Records, "records")
	for i := range payloadRecords {
		fmt.Fprintf(records, "{\"n\":%d,\"text\":\"%s\"}\n", i, strings.Repeat("y", i%700))
	}
	return 7
}

// reaped says whether init has reaped a process whose parent has ended.
func reaped() bool {
	out, err := exec.Command("/proc/self/exe", payloadName, "orphan").Output()
	var pid int
	if _, e := fmt.Sscan(string(out), &pid); err != nil || e != nil {
		return false
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 10_000 {
		if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return true
		}
		<-tick.C
	}
	return false
}

// real is a guest with this binary as its init, in namespaces.
func real(t *testing.T, args ...string) Guest {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: the fake kernel makes namespaces and mounts")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	machine := arches[runtime.GOARCH].machine
	if err := checkProgram(self, machine); err != nil {
		t.Skipf("needs a static test binary, as CGO_ENABLED=0 makes it: %v", err)
	}
	return Guest{
		Kernel:  kernels.Kernel{Name: "real", Arch: runtime.GOARCH, Image: script{TCG: {{Op: "boot", Text: t.TempDir()}}}.file(t)},
		Program: self, Command: append([]string{"/cellwall", payloadName}, args...), Boot: forever, Limit: forever, Accel: TCG,
	}
}

func TestInit(t *testing.T) {
	g := real(t, "look")
	tool := elfFile(t, elf.EM_X86_64, map[string]string{".text": "tool"})
	g.Files = []File{{Path: "/bin/tool", Source: tool}, {Path: "/usr/share/x/run", Target: "../../bin/tool"}, {Path: "/opt/empty"}}
	var console, records, out, errs bytes.Buffer
	g.Console, g.Records, g.Stdout, g.Stderr = &console, &records, &out, &errs
	r, err := fake(t).Run(t.Context(), g)
	if err != nil {
		t.Fatalf("%v\nconsole:\n%s", err, console.String())
	}
	if r.Exit != 7 || r.Up <= 0 {
		t.Errorf("result %+v", r)
	}
	if want := "reboot: Power down"; !slices.Contains(r.Tail, want) {
		t.Errorf("the tail %q has no %q", r.Tail, want)
	}
	if errs.Len() != 1<<20 || !bytes.HasSuffix(errs.Bytes(), []byte("0123456789abcdef")) {
		t.Errorf("%d bytes of stderr", errs.Len())
	}
	lines := strings.Split(strings.TrimSuffix(records.String(), "\n"), "\n")
	if len(lines) != payloadRecords {
		t.Errorf("%d records, not %d", len(lines), payloadRecords)
	}
	for i, l := range lines {
		if !strings.HasPrefix(l, fmt.Sprintf("{\"n\":%d,", i)) || !json.Valid([]byte(l)) {
			t.Fatalf("record %d is %.80q", i, l)
		}
	}
	var s seen
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatalf("%v: %q", err, out.String())
	}
	for _, want := range []string{
		" /proc ", " /sys ", " /dev ", " /dev/pts ", " /dev/shm ", " /dev/mqueue ",
	} {
		if !strings.Contains(s.Mounts, want) && !strings.Contains(s.Mounts, strings.TrimSpace(want)+" ") {
			t.Errorf("nothing is mounted on%s:\n%s", want, s.Mounts)
		}
	}
	if strings.Contains(s.Mounts, newRootPath) {
		t.Errorf("the new root is still mounted elsewhere:\n%s", s.Mounts)
	}
	// The fake kernel gave it a size.
	if root := regexp.MustCompile(`(?m)^.* / / .*$`).FindAllString(s.Mounts, -1); len(root) != 1 || strings.Contains(root[0], "size=262144k") {
		t.Errorf("the root is the kernel's: %q", root)
	}
	for _, gone := range []string{"cellwall-guest.json", "cellwall-modules", "cellwall-root"} {
		if slices.Contains(s.Root, gone) {
			t.Errorf("/%s is left: %v", gone, s.Root)
		}
	}
	if s.Hostname != hostname || !strings.Contains(s.Loopback, "up") || s.Init != "/init\x00" || !strings.HasPrefix(s.Passwd, "root:") || s.Dir != "/root" {
		t.Errorf("%+v", s)
	}
	if got := strings.Join(s.Files, " "); got != "0/dev/null 1pipe 2pipe 3pipe" {
		t.Errorf("descriptors %s", got)
	}
	if s.Descriptor != "/proc/self/fd" || !slices.Contains(s.Env, "HOME=/root") {
		t.Errorf("/dev/fd is %q, the environment %q", s.Descriptor, s.Env)
	}
	if !s.Reaped {
		t.Error("an orphan was not reaped")
	}
	if want := fmt.Sprintf("%#x 0x0", unix.TMPFS_MAGIC); !slices.Equal(s.Roots, []string{want, want, want}) {
		t.Errorf("/, /run and /tmp are %q, want %q", s.Roots, want)
	}
	if s.Mode != "-rwxr-xr-x" || !strings.Contains(s.Linked, "tool") {
		t.Errorf("mode %s, link %q", s.Mode, s.Linked)
	}
}

const newRootPath = "/cellwall-root"

func TestInitEnds(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string
		command []string
		exit    int
		err     string
	}{
		"with what is left":   {args: []string{"leave"}, exit: 9},
		"with a signal":       {args: []string{"killed"}, exit: 128 + 9},
		"without a program":   {args: []string{"x"}, command: []string{"/none"}, err: "start the command /none: no such file"},
		"without a directory": {args: []string{"x"}, command: []string{"/etc/passwd"}, err: "start the command /etc/passwd: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			g := real(t, c.args...)
			if c.command != nil {
				g.Command = c.command
			}
			r, err := fake(t).Run(t.Context(), g)
			if c.err == "" && (err != nil || r.Exit != c.exit) {
				t.Errorf("%+v, %v", r, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q; console %q", err, c.err, r.Tail)
			}
		})
	}
}

// Programs of this host come with their libraries and with the links that lead to both.
func TestInitRunsProgramsOfTheHost(t *testing.T) {
	g := real(t)
	host, err := rootfs.FromHost(t.TempDir(), "sh", "sleep")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for _, f := range host.Files {
		file := File{Path: f.Path, Target: f.Target}
		if f.Target == "" {
			file.Source = filepath.Join(host.Path(), f.Path)
		}
		g.Files = append(g.Files, file)
	}
	var out bytes.Buffer
	g.Stdout, g.Command = &out, []string{"/bin/sh", "-c", "sleep 0 && echo $PPID; exit 3"}
	if r, err := fake(t).Run(t.Context(), g); err != nil || r.Exit != 3 || out.String() != "1\n" {
		t.Errorf("%+v, %v, %q", r, err, out.String())
	}
}

// What goes wrong before there is a port is on the console, and is not the kernel's fault.
func TestInitComplains(t *testing.T) {
	g := real(t, "look")
	g.Files = []File{{Path: "/proc", Source: elfFile(t, elf.EM_X86_64, nil)}}
	_, err := fake(t).Run(t.Context(), g)
	var failed *BootError
	if err == nil || errors.As(err, &failed) || !strings.Contains(err.Error(), "its init says: mount proc on /proc") {
		t.Errorf("got %v", err)
	}
}

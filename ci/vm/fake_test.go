package vm

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/ci/vm/guest"
)

// step is one thing that the fake QEMU does. Its -kernel is a list of them for each accelerator.
type step struct {
	Op   string
	Text string `json:",omitempty"`
	N    int    `json:",omitempty"`
}

type script map[string][]step

// fake returns a host whose QEMU is this binary.
func fake(t *testing.T) *Host {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "qemu-system-x86_64")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	return &Host{QEMU: name, Device: filepath.Join(t.TempDir(), "none")}
}

func (s script) file(t *testing.T) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "vmlinuz")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// line is a frame as it goes over the channel.
func line(seq uint64, kind guest.Kind, data string) string {
	return encode(guest.Frame{Seq: seq, Kind: kind, Data: []byte(data)})
}

func encode(f guest.Frame) string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

// withValue are QEMU's options that are followed by a value, and how often each must be there.
var withValue = map[string]int{
	"-name": 1, "-display": 1, "-sandbox": 1, "-machine": 1, "-accel": 1, "-cpu": 1, "-smp": 1, "-m": 1,
	"-chardev": 2, "-serial": 1, "-device": 2, "-kernel": 1, "-initrd": 1, "-append": 1,
}

var without = map[string]bool{"-no-user-config": true, "-nodefaults": true, "-no-reboot": true}

// qemuArguments reads a command line, and refuses what QEMU does not know.
func qemuArguments(args []string) (map[string][]string, error) {
	got := map[string][]string{}
	for len(args) > 0 {
		option := args[0]
		args = args[1:]
		switch {
		case without[option]:
			got[option] = append(got[option], "")
		case withValue[option] > 0 && len(args) > 0:
			got[option] = append(got[option], args[0])
			args = args[1:]
		default:
			return nil, fmt.Errorf("%s: invalid option", option)
		}
	}
	for option, n := range withValue {
		if len(got[option]) != n {
			return nil, fmt.Errorf("%s: is there %d times, not %d", option, len(got[option]), n)
		}
	}
	return got, nil
}

// fakeMachine is what the fake QEMU has of its command line.
type fakeMachine struct {
	console, channel *os.File
	initramfs        string
}

func inherited(chardevs []string, id string) (*os.File, error) {
	for _, c := range chardevs {
		if number, ok := strings.CutPrefix(c, "socket,id="+id+",fd="); ok {
			fd, err := strconv.Atoi(number)
			if err != nil {
				return nil, err
			}
			kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
			if err != nil || kind != unix.SOCK_STREAM {
				return nil, fmt.Errorf("chardev %s: descriptor %d is no stream socket: %v", id, fd, err) //nolint:errorlint // there may be none
			}
			return os.NewFile(uintptr(fd), id), nil
		}
	}
	return nil, fmt.Errorf("no chardev %s", id)
}

// fakeQEMU carries out the script that it was given as a kernel.
func fakeQEMU(args []string) int {
	code, err := func() (int, error) {
		got, err := qemuArguments(args)
		if err != nil {
			return 1, err
		}
		m := fakeMachine{initramfs: got["-initrd"][0]}
		if m.console, err = inherited(got["-chardev"], "console"); err != nil {
			return 1, err
		}
		if m.channel, err = inherited(got["-chardev"], "records"); err != nil {
			return 1, err
		}
		if got["-serial"][0] != "chardev:console" || got["-device"][1] != "virtserialport,chardev=records,name="+guest.Port {
			return 1, fmt.Errorf("devices: %q %q", got["-serial"], got["-device"])
		}
		text, err := os.ReadFile(got["-kernel"][0])
		if err != nil {
			return 1, err
		}
		var s script
		if err := json.Unmarshal(text, &s); err != nil {
			return 1, err
		}
		accel, _, _ := strings.Cut(got["-accel"][0], ",")
		for _, one := range s[accel] {
			if done, code, err := m.do(one); done || err != nil {
				return code, err
			}
		}
		return 0, nil
	}()
	if err != nil {
		fmt.Fprintf(os.Stderr, "qemu: %v\n", err)
		return 1
	}
	return code
}

func (m fakeMachine) do(s step) (done bool, code int, err error) {
	switch s.Op {
	case "console":
		_, err = io.WriteString(m.console, s.Text)
	case "channel":
		_, err = io.WriteString(m.channel, s.Text)
	case "stderr":
		_, err = io.WriteString(os.Stderr, s.Text)
	case "file": // leaves our pid
		err = os.WriteFile(s.Text+".new", []byte(strconv.Itoa(os.Getpid())), 0o600)
		if err == nil {
			err = os.Rename(s.Text+".new", s.Text)
		}
	case "ack":
		var b [1]byte
		if _, err = io.ReadFull(m.channel, b[:]); err == nil && b[0] != guest.Ack {
			err = fmt.Errorf("answered with %q", b[0])
		}
	case "hang":
		_, err = io.Copy(io.Discard, m.channel)
	case "stay": // whatever becomes of the others
		for {
			_ = unix.Pause()
		}
	case "flood console":
		for err == nil {
			_, err = io.WriteString(m.console, strings.Repeat("all work and no play\n", 1000))
		}
	case "flood channel":
		for seq := uint64(1); err == nil; seq++ {
			_, err = io.WriteString(m.channel, line(seq, guest.Stdout, strings.Repeat("x", guest.ChunkSize)))
		}
	case "die":
		err = unix.Kill(os.Getpid(), unix.SIGKILL)
	case "exit":
		return true, s.N, nil
	case "boot":
		err = m.boot(s.Text)
	default:
		err = fmt.Errorf("no step %q", s.Op)
	}
	return false, 0, err
}

package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type member struct {
	name         string
	mode         uint32
	body         []byte
	major, minor uint32
}

// readNewc reads an archive as the kernel does (init/initramfs.c), and is stricter.
func readNewc(r io.Reader) ([]member, error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	at := 0
	take := func(n int) ([]byte, error) {
		if n < 0 || at+n > len(all) {
			return nil, fmt.Errorf("cut off at %d", at)
		}
		at += n
		return all[at-n : at], nil
	}
	pad := func() error {
		b, err := take((4 - at%4) % 4)
		if err == nil && len(bytes.Trim(b, "\x00")) > 0 {
			err = errors.New("padded with something")
		}
		return err
	}
	var list []member
	inodes := map[uint64]bool{}
	for {
		head, err := take(110)
		if err != nil {
			return nil, err
		}
		if string(head[:6]) != "070701" {
			return nil, fmt.Errorf("magic %q at %d", head[:6], at)
		}
		var f [13]uint64
		for i := range f {
			if f[i], err = strconv.ParseUint(string(head[6+8*i:14+8*i]), 16, 32); err != nil {
				return nil, err
			}
		}
		name, err := take(int(f[11]))
		if err != nil {
			return nil, err
		}
		if len(name) == 0 || bytes.IndexByte(name, 0) != len(name)-1 {
			return nil, fmt.Errorf("name %q does not end in its only zero byte", name)
		}
		if err := pad(); err != nil {
			return nil, err
		}
		body, err := take(int(f[6]))
		if err != nil {
			return nil, err
		}
		if err := pad(); err != nil {
			return nil, err
		}
		m := member{name: string(name[:len(name)-1]), mode: uint32(f[1]), body: body, major: uint32(f[9]), minor: uint32(f[10])}
		if m.name == trailer {
			if rest := all[at:]; len(all)%512 != 0 || len(bytes.Trim(rest, "\x00")) > 0 {
				return nil, fmt.Errorf("%d bytes, %d after the end", len(all), len(rest))
			}
			return list, nil
		}
		if f[2] != 0 || f[3] != 0 || f[4] != 1 || inodes[f[0]] {
			return nil, fmt.Errorf("%s: owner %d:%d, %d links, inode %d", m.name, f[2], f[3], f[4], f[0])
		}
		inodes[f[0]] = true
		list = append(list, m)
	}
}

func sample() []member {
	return []member{
		{name: "d", mode: unix.S_IFDIR | 0o1777, body: []byte{}},
		{name: "d/f", mode: unix.S_IFREG | 0o755, body: []byte("12345")},
		{name: "d/empty", mode: unix.S_IFREG | 0o600, body: []byte{}},
		{name: "d/link", mode: unix.S_IFLNK | 0o777, body: []byte("/d/f")},
		{name: "console", mode: unix.S_IFCHR | 0o600, body: []byte{}, major: 5, minor: 1},
		{name: "long" + strings.Repeat("x", 200), mode: unix.S_IFREG | 0o644, body: bytes.Repeat([]byte("abc"), 5000)},
	}
}

func packed(t testing.TB, members []member) []byte {
	t.Helper()
	var b bytes.Buffer
	a := &archive{w: &b}
	for _, m := range members {
		if err := a.add(entry{name: m.name, mode: m.mode, size: int64(len(m.body)), body: bytes.NewReader(m.body), major: m.major, minor: m.minor}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchiveIsReadAsItWasWritten(t *testing.T) {
	got, err := readNewc(bytes.NewReader(packed(t, sample())))
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The program is the reference.
func TestArchiveIsReadByCpio(t *testing.T) {
	program, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("cpio is not installed")
	}
	cmd := exec.Command(program, "-it", "--quiet")
	cmd.Stdin = bytes.NewReader(packed(t, sample()))
	out, err := cmd.CombinedOutput()
	var want []string
	for _, m := range sample() {
		want = append(want, m.name)
	}
	if got := strings.Fields(string(out)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestArchiveRefuses(t *testing.T) {
	for _, c := range []struct {
		e    entry
		want string
	}{
		{entry{name: "", mode: unix.S_IFREG}, "no name"},
		{entry{name: "/a", mode: unix.S_IFREG}, "no name"},
		{entry{name: "a\x00b", mode: unix.S_IFREG}, "no name"},
		{entry{name: trailer, mode: unix.S_IFREG}, "no name"},
		{entry{name: strings.Repeat("a", unix.PathMax), mode: unix.S_IFREG}, "has 4096 bytes"},
		{entry{name: "a", mode: unix.S_IFREG, size: 1 << 32}, "4 GiB"},
		{entry{name: "a", mode: unix.S_IFREG, size: 4, body: strings.NewReader("abc")}, "shorter"},
	} {
		a := &archive{w: io.Discard}
		if err := a.add(c.e); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v, want %q", c.e.name, err, c.want)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if err := (&archive{w: full}).add(entry{name: "a"}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
}

func FuzzArchive(f *testing.F) {
	f.Add("a", []byte("b"), "c/d", []byte{}, uint32(unix.S_IFREG))
	f.Fuzz(func(t *testing.T, name1 string, body1 []byte, name2 string, body2 []byte, mode uint32) {
		want := []member{{name: name1, mode: mode, body: body1}, {name: name2, mode: mode, body: body2}}
		var b bytes.Buffer
		a := &archive{w: &b}
		for _, m := range want {
			if a.add(entry{name: m.name, mode: m.mode, size: int64(len(m.body)), body: bytes.NewReader(m.body)}) != nil {
				return
			}
		}
		if err := a.close(); err != nil {
			t.Fatal(err)
		}
		got, err := readNewc(&b)
		if err != nil || len(got) != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i := range want {
			if got[i].name != want[i].name || got[i].mode != mode || !bytes.Equal(got[i].body, want[i].body) {
				t.Errorf("got %+v, want %+v", got[i], want[i])
			}
		}
	})
}

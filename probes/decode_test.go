package probes

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The offsets that programs write to are those of the structure that is read.
func TestOffsetsOfRaw(t *testing.T) {
	var r raw
	for name, c := range map[string]struct{ got, want uintptr }{
		"size": {unsafe.Sizeof(r), rawBytes}, "kind": {unsafe.Offsetof(r.Kind), rawKind}, "cpu": {unsafe.Offsetof(r.CPU), rawCPU},
		"at": {unsafe.Offsetof(r.At), rawAt}, "length": {unsafe.Offsetof(r.Length), rawLength}, "cgroup": {unsafe.Offsetof(r.Cgroup), rawCgroup},
		"watched": {unsafe.Offsetof(r.Watched), rawWatched}, "by": {unsafe.Offsetof(r.By), rawBy}, "pid": {unsafe.Offsetof(r.Pid), rawPid},
		"by pid": {unsafe.Offsetof(r.ByPid), rawByPid}, "pages": {unsafe.Offsetof(r.Pages), rawPages}, "call": {unsafe.Offsetof(r.Call), rawCall},
		"errno": {unsafe.Offsetof(r.Errno), rawErrno}, "comm": {unsafe.Offsetof(r.Comm), rawComm},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, programs have %d", name, c.got, c.want)
		}
	}
}

func encode(t testing.TB, r raw) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := binary.Write(&b, binary.NativeEndian, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecode(t *testing.T) {
	boot := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	r := raw{
		Kind: uint32(kindNumber(ForkRefused)), CPU: 3, At: 5e9, Length: 7000, Cgroup: 11, Watched: 12, By: 13, Pid: 14, ByPid: 15,
		Pages: 16, Call: unix.SYS_CLONE3, Errno: uint32(unix.EAGAIN),
	}
	copy(r.Comm[:], "fifteen bytes..")
	want := Event{
		Kind: ForkRefused, CPU: 3, At: boot.Add(5 * time.Second), Length: 7 * time.Microsecond, Cgroup: 11, Watched: 12, By: 13, Pid: 14, ByPid: 15,
		Pages: 16, Call: "clone3", Errno: "EAGAIN", Comm: "fifteen bytes..",
	}
	if got, err := decode(encode(t, r), boot); err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	for what, sample := range map[string][]byte{
		"nothing": nil, "short": encode(t, r)[:rawBytes-1], "no kind": make([]byte, rawBytes), "unknown kind": encode(t, raw{Kind: 99}),
	} {
		if _, err := decode(sample, boot); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestEveryKindHasANumber(t *testing.T) {
	for _, k := range []Kind{Throttled, OOMKill, OOMExit, OOMReaped, OOMReleased, ForkRefused, Waited, Reclaimed, HighStall, Phase} {
		if e, err := decode(encode(t, raw{Kind: uint32(kindNumber(k))}), time.Time{}); err != nil || e.Kind != k {
			t.Errorf("%s: %+v, %v", k, e, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, raw{Kind: 1, Comm: [commBytes]byte{'a'}}))
	f.Fuzz(func(t *testing.T, sample []byte) {
		e, err := decode(sample, time.Time{})
		if err == nil && (e.Kind == "" || len(e.Comm) > commBytes) {
			t.Errorf("%+v", e)
		}
	})
}

func TestKeyed(t *testing.T) {
	const stat = "nr_periods 7\nnr_throttled 3\nthrottled_usec 12345\n"
	const pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
	for _, c := range []struct {
		text, key string
		want      uint64
		ok        bool
	}{
		{stat, "throttled_usec", 12345, true},
		{stat, "throttled", 0, false},
		{stat, "nr_bursts", 0, false},
		{pressure, "some total", 77, true},
		{pressure, "full total", 5, true},
		{pressure, "some avg10", 0, false}, // no whole number
		{pressure, "none total", 0, false},
		{"oom_kill -1\n", "oom_kill", 0, false},
		{"oom_kill\n", "oom_kill", 0, false},
		{"", "max", 0, false},
	} {
		if got, ok := keyed(c.text, c.key); got != c.want || ok != c.ok {
			t.Errorf("keyed(%q, %q) = %d, %v", c.text, c.key, got, ok)
		}
	}
}

func FuzzKeyed(f *testing.F) {
	f.Add("some avg10=0.00 total=77\n", "some total")
	f.Add("max 18446744073709551615\n", "max")
	f.Fuzz(func(_ *testing.T, text, key string) { keyed(text, key) })
}

// A bucket holds lengths from 2^(i-1) us up to below 2^i us.
func TestParseTotal(t *testing.T) {
	value := make([]byte, totalBytes)
	binary.NativeEndian.PutUint64(value, 2)
	binary.NativeEndian.PutUint64(value[8:], 3000)
	binary.NativeEndian.PutUint64(value[totalBytes-8:], 1)
	got := parseTotal(5, value)
	if got.Cgroup != 5 || got.Count != 2 || got.Length != 3*time.Microsecond || got.Buckets[Buckets-1] != 1 {
		t.Errorf("%+v", got)
	}
}

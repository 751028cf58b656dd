package cgroup

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseNested(t *testing.T) {
	got, err := parseNested("8:0 rbytes=1 wbytes=2 cost.usage=1.5\n8:16 rbps=max wiops=7\n253:0 254:0 rios=3\n")
	want := map[string]map[string]uint64{
		"8:0": {"rbytes": 1, "wbytes": 2}, "8:16": {"rbps": 0, "wiops": 7}, "253:0": {"rios": 3},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"0-2,7", "8:0 rbps=1 wbps=max", "max 100000", "usage_usec 5\nx 7", "c 1:3 rwm\nb *:* m", "100", "hugetlb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := parseKeyed(s); err == nil && len(m) > strings.Count(s, "\n")+1 {
			t.Errorf("%q: %v", s, m)
		}
		_, _ = parseNested(s)
		if q, p, err := parseCPUMax(s); err == nil && (p == nil || q != nil && time.Duration(*q)*time.Microsecond < 0) {
			t.Errorf("cpu.max %q: %v %v", s, q, p)
		}
		if rules, err := parseDeviceList(s); err == nil {
			for _, r := range rules {
				if err := r.check(); err != nil {
					t.Error(err)
				}
			}
		}
		l := Limits{}
		for _, file := range []string{"memory.max", "cpu.max", "io.max", "io.weight", "cpuset.cpus", "hugetlb.2MB.max", s} {
			_ = l.unified(file, s)
		}
		if isHugeSize(s) && strings.ContainsAny(s, "/.") {
			t.Errorf("size %q", s)
		}
	})
}

// Both scales meet where the kernel and OCI say so, and v1's shares survive the way through
// CPUWeight.
func TestWeights(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 0, 2: 1, 1024: 100, 262144: 10000} {
		if got := WeightFromShares(shares); got != want {
			t.Errorf("WeightFromShares(%d) = %d, want %d", shares, got, want)
		}
	}
	for w := uint64(1); w <= 10000; w++ {
		if got := sharesToWeight(SharesFromWeight(w)); got != w {
			t.Errorf("weight %d comes back as %d", w, got)
		}
	}
	if SharesFromWeight(100) != 1024 {
		t.Errorf("weight 100 is %d shares", SharesFromWeight(100))
	}
	for w := uint64(10); w <= 1000; w++ {
		if got := BFQWeight(ioWeightFromBFQ(w)); got != w || ioWeightFromBFQ(w) < 1 || ioWeightFromBFQ(w) > 10000 {
			t.Errorf("BFQ weight %d comes back as %d", w, got)
		}
	}
}

func TestCheck(t *testing.T) {
	ms := time.Millisecond
	if err := (Limits{}).check(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	for name, l := range map[string]Limits{
		"cpu.weight":               {CPUWeight: 10001},
		"the weight or the shares": {CPUWeight: 1, CPUShares: 2},
		"cpu.shares":               {CPUShares: 1},
		"io.weight":                {IOWeight: 10001},
		"whole microseconds":       {CPUMax: CPUMax{Quota: ms + 1}},
		"at least 1ms":             {CPUMax: CPUMax{Quota: ms - time.Microsecond}},
		"1ms to 1s":                {CPUMax: CPUMax{Quota: ms, Period: 2 * time.Second}},
		"at most the quota":        {CPUMax: CPUMax{Quota: ms, Burst: 2 * ms}},
		"cpuset.cpus":              {CPUs: "x"},
		"cpuset.mems":              {Mems: "1-0"},
		"it names none":            {CPUs: " "},
		"hugetlb size":             {Hugetlb: map[string]uint64{"../2MB": 1}},
		"type":                     {Devices: []DeviceRule{{Type: "p"}}},
		"access":                   {Devices: []DeviceRule{{Access: "x"}}},
		"out of range":             {Devices: []DeviceRule{{Major: new(int64(1 << 20))}}},
		"check cpu.max quota -1ms": {CPUMax: CPUMax{Quota: -ms}},
		"check cpu.max.burst -1ms": {CPUMax: CPUMax{Quota: ms, Burst: -ms}},
	} {
		err := l.check()
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

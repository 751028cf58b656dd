package cgroup

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

func fromJSON(t testing.TB, s string) *specs.LinuxResources {
	t.Helper()
	var r specs.LinuxResources
	if err := json.Unmarshal([]byte(s), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestLimitsFromSpec(t *testing.T) {
	for _, tt := range []struct {
		json string
		want Limits
	}{
		{`{}`, Limits{}},
		{`{"memory":{"limit":100,"swap":150,"reservation":50}}`, Limits{MemoryMax: 100, MemoryLow: 50, SwapMax: new(uint64(50))}},
		{`{"memory":{"limit":100,"swap":100}}`, Limits{MemoryMax: 100, SwapMax: new(uint64(0))}},
		{`{"memory":{"limit":-1,"swap":-1}}`, Limits{}},
		{`{"memory":{"limit":100,"swap":-1}}`, Limits{MemoryMax: 100}},
		{
			`{"cpu":{"shares":512,"quota":50000,"period":100000,"burst":1000,"cpus":"0-1","mems":"0"}}`,
			Limits{CPUShares: 512, CPUMax: CPUMax{Quota: 50 * time.Millisecond, Period: 100 * time.Millisecond, Burst: time.Millisecond}, CPUs: "0-1", Mems: "0"},
		},
		{`{"cpu":{"quota":-1}}`, Limits{}},
		{`{"pids":{"limit":7}}`, Limits{PidsMax: 7}},
		{`{"pids":{"limit":-1}}`, Limits{}},
		{`{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}`, Limits{Hugetlb: map[string]uint64{"2MB": 0}}},
		{
			`{"blockIO":{"weight":1000,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":6}]}}`,
			Limits{IOWeight: 10000, IOMax: []IOMax{{Major: 8, Rbps: 5, Wiops: 6}}},
		},
		{
			`{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"access":"r"}]}`,
			Limits{Devices: []DeviceRule{{Access: "rwm"}, {Allow: true, Type: "c", Major: new(int64(1)), Access: "r"}}},
		},
		{
			`{"cpu":{"shares":512},"unified":{"memory.high":"7","memory.max":"max","memory.swap.max":"0","cpu.weight":"50","cpu.max":"1000 2000",
			"io.max":"8:0 rbps=1","io.weight":"default 5","hugetlb.1GB.max":"0","pids.max":"3","cpuset.cpus":"1","cgroup.max.depth":"0","memory.oom.group":"1"}}`,
			Limits{
				MemoryHigh: 7, SwapMax: new(uint64(0)), CPUWeight: 50, CPUMax: CPUMax{Quota: time.Millisecond, Period: 2 * time.Millisecond},
				IOMax: []IOMax{{Major: 8, Rbps: 1}}, IOWeight: 5, Hugetlb: map[string]uint64{"1GB": 0}, PidsMax: 3, CPUs: "1",
				MaxDepth: new(uint64(0)), OOMGroup: true,
			},
		},
	} {
		got, err := LimitsFromSpec(fromJSON(t, tt.json))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", tt.json, got, err, tt.want)
		}
	}
	if got, err := LimitsFromSpec(nil); err != nil || !reflect.DeepEqual(got, Limits{}) {
		t.Errorf("nil: %+v, %v", got, err)
	}
}

func TestLimitsFromSpecRefuses(t *testing.T) {
	for _, tt := range []struct {
		json, says  string
		unsupported bool
	}{
		{`{"memory":{"swap":5}}`, "memory.limit", false},
		{`{"memory":{"limit":9,"swap":5}}`, "below", false},
		{`{"memory":{"limit":-2}}`, "memory.limit", false},
		{`{"memory":{"swappiness":5}}`, "swappiness", true},
		{`{"memory":{"kernelTCP":5}}`, "kernelTCP", true},
		{`{"memory":{"disableOOMKiller":true}}`, "disableOOMKiller", true},
		{`{"cpu":{"realtimeRuntime":5}}`, "realtime", true},
		{`{"cpu":{"idle":1}}`, "idle", true},
		{`{"cpu":{"cpus":"x"}}`, "cpuset.cpus", false},
		{`{"cpu":{"quota":5}}`, "1ms", false},
		{`{"cpu":{"period":18446744073709551615}}`, "period", false},
		{`{"pids":{"limit":0}}`, "pids.limit", true},
		{`{"blockIO":{"weight":5}}`, "weight", false},
		{`{"blockIO":{"leafWeight":5}}`, "leafWeight", true},
		{`{"blockIO":{"weightDevice":[{"major":1,"minor":1,"weight":10}]}}`, "weightDevice", true},
		{`{"blockIO":{"throttleReadBpsDevice":[{"major":-1,"minor":0,"rate":5}]}}`, "device", false},
		{`{"network":{"classID":5}}`, "network", true},
		{`{"rdma":{"a":{}}}`, "rdma", true},
		{`{"hugepageLimits":[{"pageSize":"../x","limit":0}]}`, "hugetlb", false},
		{`{"devices":[{"type":"p"}]}`, "type", false},
		{`{"unified":{"memory.max":"x"}}`, "memory.max", false},
		{`{"unified":{"pids.max":"0"}}`, "pids.max", true},
		{`{"unified":{"../../etc/passwd":"x"}}`, "passwd", true},
		{`{"unified":{"cgroup.procs":"1"}}`, "cgroup.procs", true},
		{`{"unified":{"io.max":"8 rbps=1"}}`, "io.max", false},
	} {
		got, err := LimitsFromSpec(fromJSON(t, tt.json))
		if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, kernel.ErrNotSupported) != tt.unsupported || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", tt.json, got, err)
		}
	}
}

func FuzzLimitsFromSpec(f *testing.F) {
	f.Add(`{"memory":{"limit":100,"swap":150},"cpu":{"shares":5},"unified":{"io.max":"8:0 rbps=1"}}`)
	f.Add(`{"devices":[{"allow":true,"type":"c","major":-1,"access":"r"}],"blockIO":{"weight":10}}`)
	f.Fuzz(func(t *testing.T, s string) {
		var r specs.LinuxResources
		if json.Unmarshal([]byte(s), &r) != nil {
			return
		}
		l, err := LimitsFromSpec(&r)
		if err != nil {
			return
		}
		if err := l.check(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		for _, s := range append(l.settingsV1(Limits{}), l.settingsV2(Limits{})...) {
			if strings.Contains(s.file, "/") {
				t.Errorf("file %q", s.file)
			}
		}
	})
}

package sentinel

import (
	"os"
	"strings"
	"testing"
)

func TestHardLimits(t *testing.T) {
	text, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	limits, err := hardLimits(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(limits) != 16 { // RLIM_NLIMITS
		t.Errorf("%d limits: %v", len(limits), limits)
	}
	const two = "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max core file size        1                    2                    bytes     \n" +
		"Max realtime timeout      unlimited            unlimited            us        \n"
	if limits, err = hardLimits(two); err != nil || limits["Max core file size"] != "2" || limits["Max realtime timeout"] != "unlimited" {
		t.Errorf("limits %v, %v", limits, err)
	}
	if _, err := hardLimits("Max core file size        1\n"); err == nil {
		t.Error("a line without a hard limit passes")
	}
}

func TestRlimitsFinding(t *testing.T) {
	before := map[string]string{"a": "1", "b": "2"}
	if f := rlimitsFinding(before, map[string]string{"a": "1", "b": "2"}); f.Breached {
		t.Errorf("%+v", f)
	}
	if f := rlimitsFinding(before, map[string]string{"a": "1", "b": "3"}); !f.Breached || !strings.Contains(f.Evidence, "b from 2 to 3") {
		t.Errorf("%+v", f)
	}
}

func TestUnequalSets(t *testing.T) {
	const status = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000420\nCapEff:\t0000000000000020\nCapBnd:\t0000000000000420\nCapAmb:\t0000000000000000\n"
	wrong, err := unequal(status, map[string]uint64{"CapInh:": 0, "CapPrm:": 0x420, "CapEff:": 0x420})
	if err != nil || len(wrong) != 1 || wrong[0] != "CapEff 20 instead of 420" {
		t.Errorf("%q, %v", wrong, err)
	}
	if _, err := unequal("CapInh:\n", map[string]uint64{"CapInh:": 0}); err == nil {
		t.Error("an empty set passes")
	}
}

package kernel

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCapabilityTable(t *testing.T) {
	for name, want := range map[string]int{
		"CAP_CHOWN":              unix.CAP_CHOWN,
		"CAP_SETPCAP":            unix.CAP_SETPCAP,
		"CAP_SYS_MODULE":         unix.CAP_SYS_MODULE,
		"CAP_SYS_ADMIN":          unix.CAP_SYS_ADMIN,
		"CAP_SYS_RESOURCE":       unix.CAP_SYS_RESOURCE,
		"CAP_SETFCAP":            unix.CAP_SETFCAP,
		"CAP_BLOCK_SUSPEND":      unix.CAP_BLOCK_SUSPEND,
		"CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
	} {
		if got, ok := CapabilityNumber(name); !ok || got != want {
			t.Errorf("%s is %d (%v), want %d", name, got, ok, want)
		}
	}
	for n := range unix.CAP_LAST_CAP + 1 {
		if got, ok := CapabilityNumber(CapabilityName(n)); !ok || got != n {
			t.Errorf("number of the name of %d is %d (%v)", n, got, ok)
		}
	}
	for _, name := range []string{"", "cap_chown", "CHOWN", "CAP_41", "CAP_CHOWN "} {
		if n, ok := CapabilityNumber(name); ok {
			t.Errorf("%q is capability %d", name, n)
		}
	}
	if got := CapabilityName(len(capabilities)); got != "CAP_41" {
		t.Errorf("a new capability is named %q", got)
	}
}

// TestLastCapabilityIsKnown fails on the first kernel that has more than the table.
func TestLastCapabilityIsKnown(t *testing.T) {
	last, err := LastCapability()
	if err != nil {
		t.Fatal(err)
	}
	if last != len(capabilities)-1 {
		t.Errorf("this kernel's last capability is %d, the table's %d", last, len(capabilities)-1)
	}
}

func TestHeldCapabilitiesAgreeWithPrctl(t *testing.T) {
	held, err := HeldCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	if len(held) == 0 && os.Geteuid() == 0 {
		t.Error("root holds no capability")
	}
	for _, name := range held {
		n, ok := CapabilityNumber(name)
		if !ok {
			t.Errorf("holds the unknown %s", name)
			continue
		}
		if bound, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0); err != nil || bound != 1 {
			t.Errorf("%s is held, but prctl answers %d, %v", name, bound, err)
		}
	}
}

func TestCapabilitySet(t *testing.T) {
	const status = "Name:\tCapPrm\nCapInh:\t0\nCapPrm:\t0000000000000003\nCapBnd:\t8000000000000002\nCapEff:\tzz\n"
	permitted, err := capabilitySet(status, "CapPrm")
	if err != nil || permitted != 3 {
		t.Fatalf("CapPrm is %x, %v", permitted, err)
	}
	bounding, err := capabilitySet(status, "CapBnd")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := capabilityNames(bounding), []string{"CAP_DAC_OVERRIDE", "CAP_63"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, err := heldIn(status); err != nil || !slices.Equal(got, []string{"CAP_DAC_OVERRIDE"}) {
		t.Errorf("held %v (%v), want only what is permitted and bounding", got, err)
	}
	for _, field := range []string{"CapEff", "CapAmb", ""} {
		if set, err := capabilitySet(status, field); err == nil {
			t.Errorf("%q is %x, want an error", field, set)
		}
	}
}

func FuzzCapabilitySet(f *testing.F) {
	for _, seed := range []string{"CapPrm:\t000001ffffffffff\n", "CapPrm:", "CapPrm", "CapPrm:\t-1\n", "a\nCapPrm: 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, status string) {
		set, err := capabilitySet(status, "CapPrm")
		if err != nil {
			return
		}
		if !strings.Contains(status, "CapPrm:") {
			t.Errorf("%q gives %x", status, set)
		}
		for _, name := range capabilityNames(set) {
			if !strings.HasPrefix(name, "CAP_") {
				t.Errorf("%q gives %q", status, name)
			}
		}
	})
}

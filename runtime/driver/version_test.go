package driver_test

import (
	"testing"

	"cellwall/runtime/driver"
)

func TestOlder(t *testing.T) {
	branches := []string{"1.2.8", "1.3.3", "1.4.0"}
	for _, c := range []struct {
		version string
		fixed   []string
		want    bool
	}{
		{"1.1.5+ds1", branches, true},
		{"1.2.7", branches, true},
		{"1.2.8", branches, false},
		{"1.2.10", branches, false},
		{"1.3.2", branches, true},
		{"1.3.3-rc.1", branches, true},
		{"1.4.0~rc2", branches, true},
		{"1.4.1-rc.1", branches, false},
		{"1.4.0+rc", branches, false},
		{"1.4.0", branches, false},
		{"2", branches, false},
		{"1", branches, true},
		{"v1.8.1", []string{"1.11.1"}, true},
		{"1.11", []string{"1.11.1"}, true},
		{"1.15", []string{"1.11.1"}, false},
		{"release-2024", []string{"1.0"}, false},
		{"", []string{"1.0"}, false},
		{"1.0", nil, false},
		{"1.0", []string{""}, false},
	} {
		if got := driver.Older(c.version, c.fixed...); got != c.want {
			t.Errorf("Older(%q, %q) = %v, want %v", c.version, c.fixed, got, c.want)
		}
	}
}

package kernel

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestStatField(t *testing.T) {
	for _, name := range []string{"sh", "a b c", "a) S 1 (b", ")", ""} {
		stat := "7 (" + name + ") R 6 5 4\n"
		for number, want := range map[int]string{3: "R", 4: "6", 6: "4"} {
			if got, err := StatField(stat, number); got != want || err != nil {
				t.Errorf("field %d of %q is %q, %v; want %q", number, stat, got, err, want)
			}
		}
		for _, number := range []int{-1, 0, 2, 7} {
			if got, err := StatField(stat, number); err == nil {
				t.Errorf("field %d of %q is %q, want an error", number, stat, got)
			}
		}
	}
	for _, stat := range []string{"", "7 sh R 6 5 4", strings.Repeat("1 ", 52), "7 (sh)"} {
		if got, err := StatField(stat, 3); err == nil {
			t.Errorf("field 3 of %q is %q, want an error", stat, got)
		}
	}
	ours, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := StatField(string(ours), 4); got != fmt.Sprint(os.Getppid()) || err != nil {
		t.Errorf("our parent is %q, %v; want %d", got, err, os.Getppid())
	}
}

func FuzzStatField(f *testing.F) {
	f.Add("7 (sh) S 1 7 7", 3)
	f.Add("7 (a) (b) S", 52)
	f.Fuzz(func(t *testing.T, stat string, number int) {
		if v, err := StatField(stat, number); err == nil && (v == "" || !strings.Contains(stat, v)) {
			t.Errorf("field %d of %q is %q", number, stat, v)
		}
	})
}

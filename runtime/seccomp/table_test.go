package seccomp

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "rewrite tables/*.txt from the kept library")

func TestTablesAreThoseOfTheKeptLibrary(t *testing.T) {
	library := map[specs.Arch]*arch.Info{
		specs.ArchX86_64:  arch.X86_64,
		specs.ArchX32:     arch.X32,
		specs.ArchX86:     arch.I386,
		specs.ArchAARCH64: arch.AARCH64,
		specs.ArchARM:     arch.ARM,
	}
	for _, a := range abis {
		info := library[a.name]
		if uint32(info.ID) != a.audit || uint32(info.SeccompMask) != a.bit {
			t.Errorf("%s: audit %#x, bit %#x; the library has %#x, %#x", a.name, a.audit, a.bit, uint32(info.ID), info.SeccompMask)
		}
		var want bytes.Buffer
		for _, n := range slices.Sorted(maps.Keys(info.SyscallNumbers)) {
			fmt.Fprintln(&want, n, info.SyscallNumbers[n])
		}
		file := "tables/" + a.file + ".txt"
		if *update {
			if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := tables.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s differs from the kept library: run go test -update", file)
		}
	}
}

// A call of newer that has come to the library too must have the library's number; then it
// need not stay in newer.
func TestNewerCallsAreNotInTheTables(t *testing.T) {
	for _, a := range abis {
		text, err := tables.ReadFile("tables/" + a.file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range newer {
			if bytes.Contains(text, []byte(" "+call.name+"\n")) {
				t.Errorf("%s: %s is in the table now", a.name, call.name)
			}
		}
	}
}

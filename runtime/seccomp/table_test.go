package seccomp

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "rewrite tables/*.txt from the kept library")

var library = map[specs.Arch]*arch.Info{
	specs.ArchX86_64:  arch.X86_64,
	specs.ArchX32:     arch.X32,
	specs.ArchX86:     arch.I386,
	specs.ArchAARCH64: arch.AARCH64,
	specs.ArchARM:     arch.ARM,
}

func TestTablesAreThoseOfTheKeptLibrary(t *testing.T) {
	for _, a := range abis {
		info := library[a.name]
		if uint32(info.ID) != a.audit || uint32(info.SeccompMask) != a.bit {
			t.Errorf("%s: audit %#x, bit %#x; the library has %#x, %#x", a.name, a.audit, a.bit, uint32(info.ID), info.SeccompMask)
		}
		var want bytes.Buffer
		for _, n := range slices.Sorted(maps.Keys(info.SyscallNumbers)) {
			if name := corrected(a.name, n, info.SyscallNumbers[n]); name != "" {
				fmt.Fprintln(&want, n, name)
			}
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

// corrected returns the name that the kernel's own tables give a call, "" for none, where the
// library has it wrong. TestTablesAreThoseOfTheKernel finds such calls.
func corrected(a specs.Arch, n int, name string) string {
	switch {
	case a == specs.ArchAARCH64 && name == "fstatat":
		return "newfstatat"
	case a == specs.ArchAARCH64 && strings.HasSuffix(name, "64") && n >= 403 && n <= 423:
		return "" // time64 calls are for 32-bit architectures (asm-generic/unistd.h)
	case name == "arch_specific_syscall":
		return "" // where a range for the architecture begins, not a call
	case a == specs.ArchX32 && n < 512 && slices.Contains(x32Only(), name):
		return "" // the 64-bit number of a call that x32 has at 512 or above (syscall_64.tbl)
	}
	return name
}

// x32Only are the names of the calls that x32 has numbers of its own for.
func x32Only() (names []string) {
	for n, name := range arch.X32.SyscallNumbers {
		if n >= 512 {
			names = append(names, name)
		}
	}
	return names
}

// The second source are the constants of x/sys, which are made from the kernel's headers.
func TestTablesAreThoseOfTheKernel(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil || len(bytes.TrimSpace(dir)) == 0 { // another user's cache may have the go.mod of a module, and not its files
		t.Skipf("needs the go command and the module cache: %v", err)
	}
	constant := regexp.MustCompile(`(?m)^\tSYS_(\w+)\s+= (\d+)$`)
	for goarch, name := range map[string]specs.Arch{"amd64": specs.ArchX86_64, "arm64": specs.ArchAARCH64, "386": specs.ArchX86, "arm": specs.ArchARM} {
		source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+goarch+".go"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := abis[indexABI(name)].read()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]uint32{}
		for _, m := range constant.FindAllStringSubmatch(string(source), -1) {
			n, _ := strconv.Atoi(m[2])
			want[strings.ToLower(m[1])] = uint32(n)
		}
		delete(want, "arch_specific_syscall")
		delete(want, "syscall_mask") // arm's
		delete(want, "uprobe")       // Linux 6.18, x86 only; no profile names it
		for call, n := range a.numbers {
			if w, ok := want[call]; n < armBase && (!ok || w != n) {
				t.Errorf("%s: %s is %d, x/sys says %d, %v", name, call, n, w, ok)
			}
			delete(want, call)
		}
		if len(want) > 0 {
			t.Errorf("%s: not in the table: %v", name, want)
		}
	}
}

func TestNamesInTablesAreUnique(t *testing.T) {
	for _, a := range abis {
		text, err := tables.ReadFile("tables/" + a.file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		a, err := a.read()
		if lines := bytes.Count(text, []byte("\n")); err != nil || len(a.numbers) != lines+len(newer) {
			t.Errorf("%s: %d names in %d lines, %v", a.name, len(a.numbers)-len(newer), lines, err)
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

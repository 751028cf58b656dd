package vm

import (
	"os"
	"slices"
	"strings"
	"testing"

	"cellwall/ci/kernels"
)

func TestArguments(t *testing.T) {
	g := Guest{Kernel: kernels.Kernel{Arch: "arm64", Image: "/a b,c/Image"}, CPUs: 2, Memory: 300<<20 + 1, Append: []string{"lsm=bpf"}}
	got := g.arguments(TCG, descriptors{console: 3, channel: 4, initramfs: 5})
	for _, want := range [][]string{
		{"-machine", "virt"}, {"-accel", "tcg,thread=single"}, {"-cpu", "cortex-a72"}, {"-smp", "2"}, {"-m", "301M"}, {"-kernel", "/a b,c/Image"},
		{"-chardev", "socket,id=console,fd=3", "-serial", "chardev:console", "-chardev", "socket,id=records,fd=4"}, {"-initrd", "/proc/self/fd/5"},
		{"-append", "console=ttyAMA0 earlycon=pl011,0x9000000 panic=-1 oops=panic lsm=bpf"},
	} {
		if !strings.Contains(strings.Join(got, "\n"), strings.Join(want, "\n")) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if got := g.arguments(KVM, descriptors{}); !strings.Contains(strings.Join(got, " "), "-accel kvm -cpu max ") {
		t.Errorf("kvm: %q", got)
	}
	g.Kernel.Arch = "amd64"
	if got := g.arguments(TCG, descriptors{}); !strings.Contains(strings.Join(got, " "), "-cpu max,la57=off,erms=off,fsrm=off,cx16=off ") {
		t.Errorf("amd64: %q", got)
	}
}

// The document gives a reason for each word.
func TestDocumentHasEachWord(t *testing.T) {
	b, err := os.ReadFile("../../docs/vm.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(b)
	for _, arch := range []string{"amd64", "arm64"} {
		g := Guest{Kernel: kernels.Kernel{Arch: arch, Image: "vmlinuz"}, CPUs: 2, Memory: 512 << 20}
		args := g.arguments(TCG, descriptors{console: 3, channel: 4, initramfs: 5})
		g.Instructions = true
		clock := g.arguments(TCG, descriptors{})[len(args):]
		if len(clock) == 0 {
			t.Error("no clock of instructions")
		}
		words := slices.Concat(args[:len(args)-1], strings.Fields(g.commandLine(TCG)), clock)
		for _, w := range words {
			if !strings.Contains(document, w) {
				t.Errorf("%s: docs/vm.md does not give a reason for %q", arch, w)
			}
		}
	}
}

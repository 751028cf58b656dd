package seccomp

import (
	"runtime"
	"slices"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Default returns the default profile for a container with the spec's bounding capabilities:
// moby's, made tighter by the tables of tighten.go. It allows nothing that moby's refuses, lists
// the native architecture only, and does not rest on the order of rules, so that runtimes with
// libseccomp enforce the same. A spec without capabilities gets the tightest profile. The error
// wraps ErrNotSupported on an architecture that has no tables.
//
// What a capability opens in moby's profile it opens here: with CAP_SYS_ADMIN, for instance,
// namespaces and mounts are left to the kernel.
func Default(s *specs.Spec) (*specs.LinuxSeccomp, error) {
	native, err := archOfGo(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	var caps []string
	if s != nil && s.Process != nil && s.Process.Capabilities != nil {
		caps = s.Process.Capabilities.Bounding
	}
	return defaultOf(native, caps), nil
}

func defaultOf(native specs.Arch, caps []string) *specs.LinuxSeccomp {
	out := mobyProfile(native, caps)
	out.Architectures = []specs.Arch{native}
	rules := out.Syscalls
	out.Syscalls = nil
	var narrow []string // names that moby allows and narrowings replace
	for _, r := range rules {
		var names []string
		for _, name := range r.Names {
			switch {
			case deniedName(name):
			case narrowedName(name):
				narrow = append(narrow, name)
			default:
				names = append(names, name)
			}
		}
		if r.Names = names; len(names) > 0 {
			out.Syscalls = append(out.Syscalls, r)
		}
	}
	for _, n := range narrowings {
		if !slices.Contains(narrow, n.name) {
			continue
		}
		for _, args := range n.allow(caps) {
			out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: []string{n.name}, Action: specs.ActAllow, Args: args})
		}
	}
	return out
}

// mobyProfile is what moby's GetDefaultProfile returns, for any architecture. A minimum kernel
// is taken as there: the oldest that cellwall runs on, 5.10, has all that moby asks for.
func mobyProfile(native specs.Arch, caps []string) *specs.LinuxSeccomp {
	arch := "amd64"
	if native == specs.ArchAARCH64 {
		arch = "arm64"
	}
	all := seccomp.DefaultProfile()
	out := &specs.LinuxSeccomp{
		DefaultAction:   all.DefaultAction,
		DefaultErrnoRet: all.DefaultErrnoRet,
		Architectures:   kernelABIs(native),
	}
	has := func(c string) bool { return slices.Contains(caps, c) }
	lacks := func(c string) bool { return !has(c) }
	for _, call := range all.Syscalls {
		if x := call.Excludes; x != nil && (slices.Contains(x.Arches, arch) || slices.ContainsFunc(x.Caps, has) || x.MinKernel != nil) {
			continue
		}
		if i := call.Includes; i != nil && (len(i.Arches) > 0 && !slices.Contains(i.Arches, arch) || slices.ContainsFunc(i.Caps, lacks)) {
			continue
		}
		out.Syscalls = append(out.Syscalls, call.LinuxSyscall)
	}
	return out
}

func deniedName(name string) bool {
	return slices.ContainsFunc(denials, func(d denial) bool { return slices.Contains(d.names, name) })
}

func narrowedName(name string) bool {
	return slices.ContainsFunc(narrowings, func(n narrowing) bool { return n.name == name })
}

package cgroup

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// deviceProgram compiles rules to a BPF_PROG_TYPE_CGROUP_DEVICE program. Each right that an
// access asks for is decided by the last rule that speaks of it: an open for reading and
// writing needs both, so a rule that denies "w" is not passed by asking for "rw".
func deviceProgram(rules []DeviceRule) asm.Instructions {
	const (
		ctx   = asm.R1 // struct bpf_cgroup_dev_ctx { u32 access_type, major, minor }
		kind  = asm.R2
		asks  = asm.R3 // the rights that no rule has decided yet
		major = asm.R4
		minor = asm.R5
		tmp   = asm.R6
	)
	p := asm.Instructions{
		asm.LoadMem(kind, ctx, 0, asm.Word),
		asm.Mov.Reg(asks, kind),
		asm.And.Imm(kind, 0xffff),
		asm.RSh.Imm(asks, 16),
		asm.LoadMem(major, ctx, 4, asm.Word),
		asm.LoadMem(minor, ctx, 8, asm.Word),
	}
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		next := fmt.Sprintf("before %d", i)
		block := asm.Instructions{}
		if k, ok := map[string]int32{"b": 1, "c": 2}[r.Type]; ok { // BPF_DEVCG_DEV_*
			block = append(block, asm.JNE.Imm(kind, k, next))
		}
		if deviceNumber(r.Major) != "*" {
			block = append(block, asm.JNE.Imm(major, int32(*r.Major), next))
		}
		if deviceNumber(r.Minor) != "*" {
			block = append(block, asm.JNE.Imm(minor, int32(*r.Minor), next))
		}
		if r.Allow {
			block = append(block, asm.And.Imm(asks, int32(anyAccess&^r.access())), asm.JEq.Imm(asks, 0, "allow"))
		} else {
			block = append(block, asm.Mov.Reg(tmp, asks), asm.And.Imm(tmp, int32(r.access())), asm.JNE.Imm(tmp, 0, "deny"))
		}
		// The next block, or the end, begins with the label; a jump there from nowhere is fine.
		p = append(p, block...)
		p = append(p, asm.Mov.Imm(asm.R0, 0).WithSymbol(next))
	}
	p = append(p, asm.Mov.Imm(asm.R0, 0).WithSymbol("deny"), asm.Return())
	if slices.ContainsFunc(rules, func(r DeviceRule) bool { return r.Allow }) { // else the verifier finds it unreachable
		p = append(p, asm.Mov.Imm(asm.R0, 1).WithSymbol("allow"), asm.Return())
	}
	return p
}

func loadDeviceProgram(rules []DeviceRule) (p *ebpf.Program, err error) {
	err = kernel.LockingMemory(func() (err error) {
		p, err = ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: "cellwall_dev", Type: ebpf.CGroupDevice, Instructions: deviceProgram(rules), License: "Apache-2.0",
		})
		return err
	})
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("load device program: %w: it needs CAP_BPF and CAP_NET_ADMIN, or root", err)
	}
	if err != nil {
		return nil, fmt.Errorf("load device program: %w", err)
	}
	return p, nil
}

// probeDeviceProgram is the gate of the "devices" controller on v2.
func probeDeviceProgram() error {
	p, err := loadDeviceProgram(nil)
	if err != nil {
		return lacksDevicePrograms(err)
	}
	return p.Close()
}

// lacksDevicePrograms marks what the kernel answers to the program without rules where it grants
// none. EINVAL is that it does not know the type: nothing else in that program can be invalid.
func lacksDevicePrograms(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("devices controller: %w: %w", kernel.ErrNotSupported, err)
	}
	return err
}

// setDevicesV2 attaches a program, then detaches the one before, so that there is no moment
// without a filter. It is a plain attachment, not a link: a link ends with the process that
// holds it, and a filter must not end before its container.
func (g *Group) setDevicesV2(d *dir, rules []DeviceRule) error {
	before := g.devices
	if len(rules) > 0 {
		p, err := loadDeviceProgram(rules)
		if err != nil {
			return err
		}
		err = link.RawAttachProgram(link.RawAttachProgramOptions{
			Target: d.fd, Program: p, Attach: ebpf.AttachCGroupDevice, Flags: unix.BPF_F_ALLOW_MULTI,
		})
		if err != nil {
			_ = p.Close()
			return d.wrap("attach device program to", "", err)
		}
		g.devices = p
	} else {
		g.devices = nil
	}
	if before == nil {
		return nil
	}
	return d.detach(before)
}

func (d *dir) detach(p *ebpf.Program) error {
	defer p.Close() //nolint:errcheck // the kernel frees it with its last attachment
	err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: d.fd, Program: p, Attach: ebpf.AttachCGroupDevice})
	if err != nil {
		return d.wrap("detach device program from", "", err)
	}
	return nil
}

// DevicePrograms counts the programs of cgroup v2 that filter the devices of the group, its own and those of the groups
// above it. Without v2 there are none.
func (g *Group) DevicePrograms() (int, error) {
	if err := g.use(); err != nil {
		return 0, err
	}
	defer g.release()
	i := slices.IndexFunc(g.dirs, func(d *dir) bool { return d.v2 })
	if i < 0 {
		return 0, nil
	}
	all, err := link.QueryPrograms(link.QueryOptions{Target: g.dirs[i].fd, Attach: ebpf.AttachCGroupDevice, QueryFlags: unix.BPF_F_QUERY_EFFECTIVE})
	if err != nil {
		return 0, g.dirs[i].wrap("ask for the device programs of", "", err)
	}
	return len(all.Programs), nil
}

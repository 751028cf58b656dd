// Package guarantee is the catalogue: what a container must not be able to do, as rows of data.
//
// A row joins a claim, the barrier that carries it, the attack that tries to break it, the
// witness that would see it broken, and the edits that take the barrier away. It runs nothing:
// package judge does.
package guarantee

import (
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// Layer is what refused an attack.
type Layer string

// The layers that refusals name.
const (
	MountNamespace  Layer = "mount-namespace"
	PIDNamespace    Layer = "pid-namespace"
	UTSNamespace    Layer = "uts-namespace"
	IPCNamespace    Layer = "ipc-namespace"
	NetNamespace    Layer = "net-namespace"
	UserNamespace   Layer = "user-namespace"
	CgroupNamespace Layer = "cgroup-namespace"
	TimeNamespace   Layer = "time-namespace"
	RootDirectory   Layer = "root-directory"
	Mount           Layer = "mount"      // a flag or the boundary of a mount
	Capability      Layer = "capability" // the kernel asked for one that is not held
	DAC             Layer = "dac"        // file modes and owners
	Seccomp         Layer = "seccomp"
	Landlock        Layer = "landlock"
	Netfilter       Layer = "netfilter"
	Cgroup          Layer = "cgroup"
	Rlimit          Layer = "rlimit"
	Filesystem      Layer = "filesystem" // a size or a number of inodes
	Kernel          Layer = "kernel"     // a check that no configuration turns off
	RuntimeItself   Layer = "runtime"
	NotBuilt        Layer = "not-built" // ENOSYS: the call is not there, which is no wall
)

// Refusals says which layer an errno suggests when the barrier stands alone. It is evidence and no proof:
// any layer may answer with any errno.
type Refusals map[unix.Errno]Layer

// Keeper is who keeps a guarantee, where it is not the runtime.
type Keeper string

// The keepers of guarantees.
const (
	ByKernel  Keeper = "kernel"  // as the attacker or the witness has set it up: no runtime has a hand in it
	ByHarness Keeper = "harness" // cellwall, which manages the containers of every runtime; the core is part of it
)

// Guarantee is one row of the catalogue.
type Guarantee struct {
	ID    string // group.name
	Claim string // completes "A container ...": "cannot signal a process outside its PID namespace"
	// Source is where the behaviour is specified or the flaw described.
	Source  string
	Barrier string    // the one mechanism that carries it, or one for each control
	Rung    spec.Rung // the lowest rung that must hold it
	Kept    Keeper    // empty: the runtime
	// Gates are what kernel and host must offer for the row to mean anything.
	Gates []*kernel.Feature
	// Controllers are the cgroup controllers that it needs, by their v2 names.
	Controllers []string
	// Probes are second witnesses in the kernel, by name. The row stands without them too.
	Probes []string

	Attack  attack.Attack
	Witness sentinel.Witness
	// Refusal is for the attack on the barrier alone.
	Refusal Refusals
	// Both changes the spec of the control and of its counterpart with the barrier, so that
	// exactly one barrier differs between them. Those that are OnCore other runtimes go without.
	Both spec.Edits
	// Controls each take the barrier away, or one of several: with every one of them the witness must
	// see a breach, and one of all that the claim names (sentinel.Finding.Intact).
	Controls spec.Edits
	// Alone rows measure time or a resource of the whole host and run beside nothing else. The judge tries one
	// again that is inconclusive.
	Alone bool
}

// What rows have in common as their Both.
var (
	// noUserNamespace makes root the host's: a user namespace would be a second wall.
	noUserNamespace = spec.Edits{spec.WithoutNamespace(specs.UserNamespace)}
	// capabilityAlone leaves a capability as the only wall: a user namespace would make it worthless,
	// and the filter would come before it.
	capabilityAlone = spec.Edits{spec.WithoutNamespace(specs.UserNamespace), spec.Unconfined()}
)

// Group is the part of the id before the dot.
func (g *Guarantee) Group() string {
	group, _, _ := strings.Cut(g.ID, ".")
	return group
}

// All returns the catalogue in the order in which it is shown.
func All() []*Guarantee { return slices.Clone(catalogue()) }

// catalogue is made at its first use: most commands need none.
var catalogue = sync.OnceValue(func() []*Guarantee {
	var all []*Guarantee
	for _, group := range [][]Guarantee{
		fsRows(),
		processRows(),
		userRows(),
		ipcRows(),
		netRows(),
		utsRows(),
		timeRows(),
		deviceRows(),
		kernelRows(),
		kernelCgroupRows(),
		syscallRows(),
		filterRows(),
		cpuRows(),
		memoryRows(),
		pidsRows(),
		ioRows(),
		abstractRows(),
		leakRows(),
		lifecycleRows(),
	} {
		for i := range group {
			all = append(all, &group[i])
		}
	}
	return all
})

// Groups returns the groups in the order of the catalogue.
func Groups() []string {
	var groups []string
	for _, g := range All() {
		if !slices.Contains(groups, g.Group()) {
			groups = append(groups, g.Group())
		}
	}
	return groups
}

// Match reports whether the id is meant by one of the globs, of path.Match. None means all.
func Match(globs []string, id string) bool {
	if len(globs) == 0 {
		return true
	}
	return slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := path.Match(glob, id)
		return err == nil && ok
	})
}

// Package matrix runs the kernel matrix: it boots every kernel in every cgroup mode, verifies all
// runtimes in that guest, and writes down what comes out as it comes.
//
// It boots nothing itself: whoever uses it says how. Tables are package render's.
package matrix

import (
	"cellwall/ci/kernels"
	"cellwall/reports/record"
)

// Boot is the cells that share a guest: all runtimes on one kernel with one cgroup mode.
type Boot struct {
	Kernel kernels.Kernel
	Cgroup string
	Cells  []record.Cell
}

// Plan returns the boots of a matrix: kernel by kernel, and for each the cgroup modes. Runtimes are
// called what verdicts call them.
func Plan(list []kernels.Kernel, cgroups, runtimes []string) []Boot {
	var boots []Boot
	place, of := 0, len(list)*len(cgroups)*len(runtimes)
	for _, k := range list {
		for _, mode := range cgroups {
			b := Boot{Kernel: k, Cgroup: mode}
			for _, runtime := range runtimes {
				place++
				b.Cells = append(b.Cells, record.Cell{
					Place: place, Of: of, Kernel: k.Name, Release: k.Release, Arch: k.Arch, Cgroup: mode, Runtime: runtime, Outcome: record.CellWaiting,
				})
			}
			boots = append(boots, b)
		}
	}
	return boots
}

// Shard returns the i-th of n parts, from 1: every n-th boot, so that the slow ones, which stand
// together, are spread. A shard may be empty.
func Shard(boots []Boot, i, n int) []Boot {
	var part []Boot
	for at := i - 1; at < len(boots); at += n {
		part = append(part, boots[at])
	}
	return part
}

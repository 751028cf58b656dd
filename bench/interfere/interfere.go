// Package interfere measures whether a container feels its neighbour, and whether limits help: a victim
// alone and beside an antagonist, in turns, with and without limits.
//
// It judges nothing and draws nothing: it returns records. What a ratio is, package digest says.
package interfere

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cellwall/bench/load"
)

// Resource is what an antagonist wants all of.
type Resource string

// The resources.
const (
	CPU     Resource = "cpu"
	Memory  Resource = "memory"
	Tasks   Resource = "tasks"
	Disk    Resource = "disk"
	Network Resource = "network"
)

// Resources lists all, in the order of tables.
func Resources() []Resource { return []Resource{CPU, Memory, Tasks, Disk, Network} }

// needs is what a load needs beside its container.
type needs struct {
	disk bool // a directory on a disk, at load.Data
	link bool // a link to load.Far
}

// Victim is one that may feel a neighbour.
type Victim struct {
	load.VictimLoad
	needs needs
}

// Victims lists all, in the order of tables.
func Victims() []Victim {
	var all []Victim
	for _, v := range load.Victims() {
		all = append(all, Victim{VictimLoad: v, needs: needs{disk: v.Name == "fsync", link: v.Name == "echo"}})
	}
	return all
}

// Antagonist is a kind of trouble. Its work has bounds of its own, beside every limit.
type Antagonist struct {
	Name     string
	Resource Resource
	// Doc completes "It ...".
	Doc string
	// Means are those that may hold it beside the limits of a rung, as --means spells them.
	Means []string
	needs needs
	work  func(cpus int) load.Work
}

const (
	mib = 1 << 20
	// floodRate is twice what the link carries.
	floodRate = 2 * linkRate
	// many operations are more than time allows: such work is bounded by bytes and by time.
	many = 1 << 31
)

// Antagonists lists all, in the order of tables.
func Antagonists() []Antagonist {
	return []Antagonist{
		{
			Name: "cpu", Resource: CPU, Doc: "keeps two threads for each CPU busy", Means: []string{"weight", "cpuset"},
			work: func(cpus int) load.Work { return load.Work{Workers: min(2*cpus, 32), Count: many, Bytes: 1} },
		},
		{
			Name: "memory", Resource: Memory, Doc: "takes memory page by page with eight tasks, up to 128 MiB each, and writes to all of it again and again; what is killed begins anew",
			Means: []string{"cpuset"},
			work:  func(int) load.Work { return load.Work{Workers: 8, Count: many, Bytes: 128 * mib} },
		},
		{
			Name: "cache", Resource: Memory, Doc: "reads a file of 1 GiB that is all hole, which fills the page cache and touches no disk",
			Means: []string{"cpuset"}, needs: needs{disk: true},
			work: func(int) load.Work { return load.Work{Workers: 1, Count: many, Bytes: 1 << 30} },
		},
		{
			Name: "fork", Resource: Tasks, Doc: "makes tasks that wait, up to 1500, and tries each millisecond to make one more",
			Means: []string{"cpuset"},
			work:  func(int) load.Work { return load.Work{Workers: 1, Count: 1500, Bytes: 1} },
		},
		{
			Name: "write", Resource: Disk, Doc: "writes a file of 256 MiB from end to end and again, through the page cache, and has each part written to the disk at once",
			Means: []string{"io", "cpuset+io"}, needs: needs{disk: true},
			work: func(int) load.Work { return load.Work{Workers: 1, Count: 64 << 10, Bytes: 256 * mib} },
		},
		{
			Name: "direct", Resource: Disk, Doc: "writes sixteen files of 16 MiB each past the page cache, in parts of 1 MiB, at once and again",
			Means: []string{"io", "cpuset+io"}, needs: needs{disk: true},
			work: func(int) load.Work { return load.Work{Workers: 16, Count: 16 << 10, Bytes: 16 * mib} },
		},
		{
			Name: "fsync", Resource: Disk, Doc: "appends 4 KiB to each of four files, calls fsync, and again",
			Means: []string{"io", "cpuset+io"}, needs: needs{disk: true},
			work: func(int) load.Work { return load.Work{Workers: 4, Count: 64 << 10, Bytes: 4 * mib} },
		},
		{
			Name: "inodes", Resource: Disk, Doc: "makes a file, removes it and looks for one that is not there, with a thread for each CPU",
			Means: []string{"cpuset"}, needs: needs{disk: true},
			work: func(cpus int) load.Work { return load.Work{Workers: min(cpus, 32), Count: many, Bytes: 1} },
		},
		{
			Name: "send", Resource: Network, Doc: fmt.Sprintf("sends datagrams over the link, %d MB a second where it carries %g", int64(floodRate)/1e6, linkRate/1e6),
			Means: []string{"bandwidth"}, needs: needs{link: true},
			work: func(int) load.Work { return load.Work{Workers: 1, Count: many, Bytes: 1 << 30, Rate: floodRate} },
		},
		{
			Name: "receive", Resource: Network, Doc: "reads over four connections what the far end sends, as fast as it comes",
			Means: []string{"bandwidth"}, needs: needs{link: true},
			work: func(int) load.Work { return load.Work{Workers: 4, Count: many, Bytes: 256 * mib} },
		},
	}
}

// Pair is a victim and an antagonist.
type Pair struct {
	Victim     Victim
	Antagonist Antagonist
}

// Pairs are all of the named victims with all of the named antagonists, in the order of tables. No names
// are all. A name that is not known is an error that lists those that are.
func Pairs(victims, antagonists []string) ([]Pair, error) {
	var vs []Victim
	var as []Antagonist
	var known [2][]string
	for _, v := range Victims() {
		known[0] = append(known[0], v.Name)
		if len(victims) == 0 || slices.Contains(victims, v.Name) {
			vs = append(vs, v)
		}
	}
	for _, a := range Antagonists() {
		known[1] = append(known[1], a.Name)
		if len(antagonists) == 0 || slices.Contains(antagonists, a.Name) {
			as = append(as, a)
		}
	}
	for i, list := range [][]string{victims, antagonists} {
		for _, name := range list {
			if !slices.Contains(known[i], name) {
				return nil, fmt.Errorf("%s %.40q is none of %s", [...]string{"victim", "antagonist"}[i], name, strings.Join(known[i], ", "))
			}
		}
	}
	var pairs []Pair
	for _, v := range vs {
		for _, a := range as {
			pairs = append(pairs, Pair{Victim: v, Antagonist: a})
		}
	}
	return pairs, nil
}

// lasts is how long an antagonist's workers go on at most in a turn with a window: longer than the victim
// can take.
func lasts(window time.Duration) time.Duration {
	const most = time.Minute // load.Work's own bound
	return min(20*time.Second+10*window, most)
}

// Package worker takes samples in a process of its own: Serve is that process, Start the handle of the one
// that asks.
//
// They talk in lines of JSON, a request on the worker's standard input and its reply on its standard
// output. So two builds of cellwall, two runtimes, or the same thing twice can take turns in one run. A
// worker ends when its input does, and removes what it has made.
package worker

import (
	"cellwall/bench"
)

// Version is that of the protocol. A worker of another one is refused.
const Version = 1

// The operations of a request.
const (
	opHello  = "hello"
	opOpen   = "open"
	opSample = "sample"
	opPlant  = "plant"
	opClose  = "close"
)

// request is what a worker is to do. Its reply comes before the next one is read.
type request struct {
	Op        string         `json:"op"`
	Benchmark string         `json:"benchmark,omitempty"` // to open
	N         int            `json:"n,omitempty"`         // samples to take
	Planted   *bench.Planted `json:"planted,omitempty"`
}

// reply is the answer to a request.
type reply struct {
	Error string `json:"error,omitempty"`
	// Unsupported says that the error is what the kernel, the host or the runtime lacks.
	Unsupported bool          `json:"unsupported,omitempty"`
	Hello       *Hello        `json:"hello,omitempty"`
	Samples     []bench.Value `json:"samples,omitempty"`
}

// Hello is what a worker says of itself.
type Hello struct {
	Protocol       int      `json:"protocol"`
	Version        string   `json:"version"` // of cellwall
	Runtime        string   `json:"runtime"`
	RuntimeVersion string   `json:"runtime_version"`
	Lacks          []string `json:"lacks,omitempty"` // what every spec gives up for the runtime
}

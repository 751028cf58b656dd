// Package core makes containers out of system calls.
//
// It compiles an OCI spec into a Plan, a list of Steps, each one system call with its
// arguments and a text that a person can read. Compile is a pure function. A child made by
// clone3(2) runs the plan: a loop of some forty instructions of assembly that issues each
// call, stops at the first error and reports it; the last step is execve(2). There is no
// second execution of this binary, no helper, no cgo.
//
// Use it to make a container. To compare runtimes use package driver, which wraps this one
// like every other.
package core

// Package house tests the structure of the repository: who may import whom, and how long a file
// may be. It has no code of its own.
package house

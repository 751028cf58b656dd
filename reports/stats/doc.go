// Package stats turns raw benchmark samples into statements that hold: an interval with the
// confidence that it really has, a ratio with the smallest one that the run could have found,
// a change with its position.
//
// It knows nothing of containers and of time: a sample is a float64 in whatever unit the caller
// measured. No method assumes a normal distribution, as latencies have long tails. Everything
// random has a fixed seed, so the same samples give the same statement.
//
// docs/statistics.md says what is computed and why, with the measured error rates.
package stats

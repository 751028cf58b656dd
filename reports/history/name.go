// Package history keeps runs of benchmarks in a directory, an immutable file each, and finds where the
// level of a benchmark has changed.
//
// A file is named for its run's time, its commit and its content, so that two branches, or two hosts that
// write to one object store, never write different things to one name: histories merge by having the files
// of both. There is no index and no cache.
package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"cellwall/reports/record"
)

const (
	// Extension is that of run files. Other files of the directory are none of ours.
	Extension = ".jsonl"
	// Unknown stands for the commit of a run that does not tell.
	Unknown = "unknown"

	stamp      = "20060102T150405Z" // UTC, so that names sort by time
	hashDigits = 16                 // of SHA-256, in hexadecimal
	wordLength = 24                 // of what stands for the commit
	commitSize = 12                 // letters of a commit that are kept
)

// name is what the name of a run file says.
type name struct {
	time   time.Time // whole seconds
	commit string
	hash   string
}

var nameForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d{8}T\d{6}Z)-([0-9A-Za-z][0-9A-Za-z._]{0,23})-([0-9a-f]{16})\.jsonl$`)
})

// parseName reads the name of a run file.
func parseName(file string) (name, error) {
	parts := nameForm().FindStringSubmatch(file)
	if parts == nil {
		return name{}, fmt.Errorf("%q is no name of a run file: add runs with cellwall history add", file)
	}
	at, err := time.Parse(stamp, parts[1])
	if err != nil {
		return name{}, fmt.Errorf("%q is no name of a run file: %w", file, err)
	}
	return name{at, parts[2], parts[3]}, nil
}

func (n name) String() string {
	return n.time.UTC().Format(stamp) + "-" + n.commit + "-" + n.hash + Extension
}

// nameOf makes the name of a run and its records. commit is what the user says it is; empty is what the
// records tell.
func nameOf(run record.Run, commit string, text []byte) name {
	if commit == "" {
		commit = commitOf(run)
	}
	return name{run.Time, commit, hashOf(text)}
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return digits(sum[:])
}

// digits are those of a hash that a name has.
func digits(hash []byte) string { return hex.EncodeToString(hash)[:hashDigits] }

// pseudo is a version that the go command makes of a commit: "v0.0.0-20261127063651-a68b550c1234+dirty".
var pseudo = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[-.]\d{14}-([0-9a-f]{12})(\+dirty)?$`) })

// commitOf is the commit of a run as its records tell it, or the version that stands for one.
func commitOf(run record.Run) string {
	if c, err := ParseCommit(run.Commit); err == nil {
		return c
	}
	if parts := pseudo().FindStringSubmatch(run.Version); parts != nil {
		return parts[1] + strings.Replace(parts[2], "+", ".", 1)
	}
	word := strings.NewReplacer("-", ".", "+", ".").Replace(run.Version)
	if regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._]*$`).MatchString(word) && len(word) <= wordLength {
		return word
	}
	return Unknown
}

// ParseCommit checks what a user calls the commit of a run and shortens it: seven hexadecimal digits at least.
func ParseCommit(text string) (string, error) {
	if !regexp.MustCompile(`^[0-9a-f]{7,64}$`).MatchString(text) {
		return "", fmt.Errorf("%.70q is no commit: give what git rev-parse HEAD prints", text)
	}
	return text[:min(len(text), commitSize)], nil
}

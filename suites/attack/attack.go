// Package attack is the attacker: what runs inside the container and tries to break out.
//
// It runs as the container's program, reports what it tried and what it saw, and decides
// nothing: the verdict rests on what the harness sees from outside. It imports nothing but the
// standard library and x/sys, and every attack aims only at the sentinel that its Target names.
package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Program is the base name under which the binary is the attacker and nothing else.
const Program = "cellwall-attacker"

// Arguments is how many an attacker has: the program, the attack, its target and the token.
const Arguments = 4

// Attack is one attempt to break a guarantee.
type Attack struct {
	// Name is unique; by convention the guarantee's id.
	Name string
	Run  func(*Attempt)
}

// Target is what an attack aims at: the sentinel on the host. Each attack says which fields it
// reads; the others are zero.
type Target struct {
	PID     int           `json:"pid,omitempty"`  // of a host process, in the host's pid namespace
	UID     uint32        `json:"uid,omitempty"`  // host uid that only this trial uses
	Path    string        `json:"path,omitempty"` // host path, or a path inside the container
	Paths   []string      `json:"paths,omitempty"`
	Name    string        `json:"name,omitempty"`    // of a queue, an abstract socket, a link, a host
	Address string        `json:"address,omitempty"` // IP address
	Port    int           `json:"port,omitempty"`
	Key     int           `json:"key,omitempty"`   // of a System V IPC object
	FD      int           `json:"fd,omitempty"`    // descriptor that was passed in on purpose
	Count   int           `json:"count,omitempty"` // bound on how often the attack repeats
	Bytes   int64         `json:"bytes,omitempty"` // bound on what it takes
	For     time.Duration `json:"for,omitempty"`   // how long it goes on
	Extra   string        `json:"extra,omitempty"` // what one attack alone understands
}

// Try is one call of an attack and the kernel's answer.
type Try struct {
	Call  string `json:"call"`
	Errno int    `json:"errno"` // 0: the call succeeded
}

// Record is what an attacker says at its end.
type Record struct {
	Tries []Try             `json:"tries"`
	Saw   []string          `json:"saw,omitempty"` // text that it read; the harness looks for the nonce in it
	Facts map[string]string `json:"facts,omitempty"`
	// Filtered says that a seccomp filter was active (Seccomp: 2 in /proc/self/status, or by
	// prctl where there is no /proc).
	Filtered bool `json:"filtered,omitempty"`
}

// Message is one line from the attacker. Exactly one of Hold and Final is set.
type Message struct {
	Token string  `json:"token"` // of the trial: stray output has none
	Hold  string  `json:"hold,omitempty"`
	Final *Record `json:"final,omitempty"`
}

// Ready is the hold that every attacker begins with: it waits until the harness has found it.
const Ready = "ready"

// Go is the line with which the harness ends a hold.
const Go = "go"

// Attempt is one run of an attack.
type Attempt struct {
	Target Target

	token  string
	record Record
	in     io.Reader
	out    *json.Encoder
}

// Try notes a call and its error, and reports whether it succeeded. An error that wraps no
// errno is noted as EIO, which no barrier answers with.
func (a *Attempt) Try(call string, err error) bool {
	t := Try{Call: call}
	if err != nil {
		var errno unix.Errno
		if !errors.As(err, &errno) {
			errno = unix.EIO
		}
		t.Errno = int(errno)
	}
	a.record.Tries = append(a.record.Tries, t)
	return err == nil
}

// asError is an errno as an error: 0 is none.
func asError(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// maxSaw bounds what one Saw keeps, in bytes.
const maxSaw = 64 << 10

// Saw keeps text that the attack has read.
func (a *Attempt) Saw(text string) {
	a.record.Saw = append(a.record.Saw, text[:min(len(text), maxSaw)])
}

// Fact keeps one value that the harness compares with what it knows itself.
func (a *Attempt) Fact(name string, value any) {
	if a.record.Facts == nil {
		a.record.Facts = map[string]string{}
	}
	a.record.Facts[name] = fmt.Sprint(value)
}

// ReadFile opens and reads a path, notes both, and keeps what it reads.
func (a *Attempt) ReadFile(path string) bool {
	f, err := os.Open(path)
	if !a.Try("open "+path, err) {
		return false
	}
	defer f.Close() //nolint:errcheck // read-only
	b, err := io.ReadAll(io.LimitReader(f, maxSaw))
	if !a.Try("read "+path, err) {
		return false
	}
	a.Saw(string(b))
	return true
}

// Inside is where a path of the container's root directory lies for the attacker: below the
// root directory itself where the container has been left in the host's.
func (a *Attempt) Inside(path string) string {
	return filepath.Join(filepath.Dir(os.Args[0]), path)
}

// Hold tells the harness that the attack has come to a named point and waits for its go.
// Without one the attacker ends at once: nobody listens any more.
func (a *Attempt) Hold(name string) {
	a.send(Message{Token: a.token, Hold: name})
	line := make([]byte, 0, 8)
	b := make([]byte, 1)
	for !strings.HasSuffix(string(line), "\n") {
		if n, err := a.in.Read(b); n == 0 || err != nil {
			os.Exit(1)
		}
		line = append(line, b[0])
	}
}

func (a *Attempt) send(m Message) {
	if a.out.Encode(m) != nil {
		os.Exit(1)
	}
}

// Again starts this program once more as a child, with another attack and the same target. Its
// standard streams are the caller's to set; it makes no report.
func (a *Attempt) Again(attack Attack) *exec.Cmd {
	return a.AgainAt(attack, a.Target)
}

// AgainAt is Again with a target of its own.
func (a *Attempt) AgainAt(attack Attack, t Target) *exec.Cmd {
	target, err := json.Marshal(t)
	if err != nil {
		os.Exit(1)
	}
	return exec.Command(os.Args[0], attack.Name, string(target))
}

// Main runs the attacker: its arguments are the attack's name, the target as JSON and the
// token. Without a token it is a child of an attacker and neither holds nor reports.
func Main(args []string) int {
	if len(args) < 3 {
		fmt.Fprintln(os.Stderr, "cellwall-attacker: for use by cellwall alone")
		return 2
	}
	attack, ok := Find(args[1])
	if !ok {
		fmt.Fprintf(os.Stderr, "cellwall-attacker: no attack %q\n", args[1])
		return 2
	}
	a := &Attempt{in: os.Stdin, out: json.NewEncoder(os.Stdout)}
	if err := json.Unmarshal([]byte(args[2]), &a.Target); err != nil {
		fmt.Fprintf(os.Stderr, "cellwall-attacker: target: %v\n", err)
		return 2
	}
	if len(args) == 3 {
		attack.Run(a)
		return 0
	}
	a.token = args[3]
	a.Hold(Ready)
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	a.record.Filtered = err == nil && mode == unix.SECCOMP_MODE_FILTER
	attack.Run(a)
	a.send(Message{Token: a.token, Final: &a.record})
	return 0
}

// The program that has this package is the attacker where it has that name, also where it is the whole harness
// (package attacker). It takes over as soon as this package is initialised.
func init() {
	if filepath.Base(os.Args[0]) == Program {
		os.Exit(Main(os.Args))
	}
}

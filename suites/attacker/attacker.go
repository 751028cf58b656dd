// Package attacker is the program that trials run, inside of containers and beside them.
//
// With the build tag embedded, which make sets, it is a small one that was built before and lies in the harness's
// own file. Without the tag it is the harness itself under another name: nothing has to be built before, but Go
// then initialises every package of the harness for which the attacker waits, which takes three times as long.
package attacker

import (
	"bytes"
	"fmt"
	"os"

	"cellwall/runtime/place"
)

//go:generate go build -trimpath -buildvcs=false -ldflags "-s -w" -o attacker-$GOARCH ./program

// Write writes the attacker to a file that is not there yet, and lets everybody execute it. A file of its own:
// a container that can write to it harms nothing.
func Write(to string) error {
	if len(small) == 0 {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		return place.CopyProgram(self, to)
	}
	return place.WriteProgram(bytes.NewReader(small), to)
}

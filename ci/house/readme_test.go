package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// commands finds the shell lines of a Markdown text: those of fenced sh blocks, with
// continuation lines joined.
func commands(markdown string) []string {
	var list []string
	in := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			in = line == "```sh"
		case in && len(list) > 0 && strings.HasSuffix(list[len(list)-1], "\\"):
			list[len(list)-1] = strings.TrimSuffix(list[len(list)-1], "\\") + line
		case in && strings.TrimSpace(line) != "":
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

var exits = regexp.MustCompile(`\s+# exits (\d+)$`)

// TestReadmeCommands runs what the README says, as it says it, on a fresh build. A comment at
// the end of a line says which exit status is meant. The make targets are run by CI itself.
func TestReadmeCommands(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the README's commands make containers")
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.Command("make", "build", "BIN="+filepath.Join(dir, "cellwall"))
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ran := 0
	for _, line := range commands(string(readme)) {
		if strings.HasPrefix(line, "make ") || strings.HasPrefix(line, "sudo make ") {
			continue
		}
		want := "0"
		if m := exits.FindStringSubmatch(line); m != nil {
			want, line = m[1], line[:len(line)-len(m[0])]
		}
		ran++
		t.Run(line, func(t *testing.T) {
			cmd := exec.Command("/bin/sh", "-c", strings.TrimPrefix(line, "sudo "))
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); want != strconv.Itoa(got) {
				t.Errorf("exit status %d, want %s:\n%.2000s", got, want, out)
			}
		})
	}
	if ran < 5 {
		t.Errorf("only %d commands found in the README: the parser or the README is wrong", ran)
	}
}

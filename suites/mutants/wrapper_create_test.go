package mutants_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/reports/record"
)

// createLies are about what a create answers, and what it leaves behind. That a runtime hands on a
// descriptor of its launcher's is among the weaknesses: --preserve-fds.
func createLies() []lie {
	const dotdot, failed, mounts = "fs.dotdot", "lifecycle.failed-create-clean", "lifecycle.no-mount-left"
	return []lie{
		{name: "a create that answers with an earlier container of the run", do: on("create", earlier), row: dotdot, want: record.Inconclusive, either: true, says: "of the pid file"},
		{name: "a create that finds a container of its name", do: on("create", really, really), row: dotdot, want: record.Inconclusive, says: "exist"},
		{name: "a failing create that leaves a cgroup", do: failing(leaveGroup), row: failed, want: record.Breached, says: "has left cgroup"},
		{name: "a failing create that leaves state", do: failing(leave("state", "left")), row: failed, want: record.Breached, says: "has left file state/left"},
		{name: "a failing create that leaves a process", do: failing(leaveSleeping), row: failed, want: record.Breached, says: "has left process"},
		{name: "a failing create that leaves a mount", do: failing(leaveMount), row: failed, want: record.Breached, says: "has left mount"},
		{name: "a create that leaves a mount", do: on("create", really, leaveMount), row: dotdot, want: record.Inconclusive, says: "has left mount"},
		{name: "a create that leaves a mount where the row looks", do: on("create", really, leaveMount), row: mounts, want: record.Breached, says: "are left on the host"},
	}
}

// failing is a wrapper whose create does something more where the runtime's fails.
func failing(steps ...step) wrapper {
	return on("create", func(c *call) error {
		err := c.run()
		if err == nil {
			return nil
		}
		return errors.Join(err, inOrder(steps...)(c))
	})
}

// earlier makes one container a run, and answers with it from then on.
func earlier(c *call) error {
	run := filepath.Dir(filepath.Dir(c.bundle())) // above the trial's directory
	f, err := os.OpenFile(filepath.Join(run, "earlier-"+filepath.Base(c.program)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	// Trials run side by side: the second waits until the first has its container.
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	pid, err := io.ReadAll(f)
	if err != nil || len(pid) > 0 {
		return errors.Join(err, pidFile(string(pid))(c))
	}
	if err := c.run(); err != nil {
		return err
	}
	if pid, err = os.ReadFile(c.option("--pid-file")); err != nil {
		return err
	}
	_, err = f.Write(pid)
	return err
}

// leaveSleeping leaves a process where the runtime's own are.
func leaveSleeping(*call) error { return sleeping().Start() }

// leaveMount mounts the trial's directory on itself, in the copy of the host's mounts that the driver runs a
// runtime in. Nowhere else: not in the test's own namespace, and not where that is reached.
func leaveMount(c *call) error {
	var names [2]string
	var mounts [2][]byte
	for i, process := range []string{"self", strconv.Itoa(os.Getppid())} {
		var err error
		if names[i], err = os.Readlink("/proc/" + process + "/ns/mnt"); err != nil {
			return err
		}
		if mounts[i], err = os.ReadFile("/proc/" + process + "/mountinfo"); err != nil {
			return err
		}
	}
	if names[0] == names[1] {
		return errors.New("the driver runs runtimes in the host's mount namespace")
	}
	for word := range strings.FieldsSeq(string(mounts[0])) {
		if strings.HasPrefix(word, "shared:") && slices.Contains(strings.Fields(string(mounts[1])), word) {
			return errors.New("the driver's copy of the host's mounts shares them with the host: " + word)
		}
	}
	// Not the bundle: when the host removes a directory, what is mounted there is gone everywhere.
	trial := filepath.Dir(c.bundle())
	return unix.Mount(trial, trial, "", unix.MS_BIND, "")
}

// killsTooMuch is the name of a wrapper that at delete kills also what is nobody's container.
const killsTooMuch = "a delete that kills a process of the host"

// killBystander kills a child of the test's, whose pid is no other's until the test has waited for it.
func killBystander(c *call) error {
	pid, err := strconv.Atoi(c.bystander)
	if err != nil {
		return err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	if !bytes.Contains(status, fmt.Appendf(nil, "\nPPid:\t%d\n", os.Getppid())) {
		return fmt.Errorf("process %d is not the test's", pid)
	}
	return unix.Kill(pid, unix.SIGKILL)
}

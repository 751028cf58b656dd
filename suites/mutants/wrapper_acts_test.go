package mutants_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// on is a wrapper that does something in place of one command. Whoever comes to its end has the
// command's success.
func on(command string, steps ...step) wrapper {
	return before(command, append(steps, func(*call) error {
		os.Exit(0)
		return nil
	})...)
}

func nothing(*call) error { return nil }

// really has the runtime carry out the command.
func really(c *call) error { return c.run() }

// fail is a command's failure, for no reason that it would tell.
func fail(*call) error {
	os.Exit(1)
	return nil
}

// pidFile writes what a pid file must not say.
func pidFile(text string) step {
	return func(c *call) error { return os.WriteFile(c.option("--pid-file"), []byte(text), 0o600) }
}

// nameBystander names a process of the host that the test has started.
func nameBystander(c *call) error { return pidFile(c.bystander)(c) }

// killItself is a command that does not come to its end.
func killItself(*call) error { return unix.Kill(os.Getpid(), unix.SIGKILL) }

// startToo makes a container whose program does not wait for its start.
func startToo(c *call) error {
	i := slices.Index(c.args, "create")
	c.args = slices.Replace(slices.Clone(c.args), i, i+1, "run", "--detach")
	return c.run()
}

// elsewhere puts the container into another group of the fence.
func elsewhere(s *specs.Spec) { s.Linux.CgroupsPath += "-elsewhere" }

// leave leaves a file in the bundle.
func leave(path ...string) step {
	return func(c *call) error {
		return os.WriteFile(filepath.Join(append([]string{c.bundle()}, path...)...), nil, 0o600)
	}
}

// sleeping is a process that does nothing, and ends by itself should nobody end it.
func sleeping() *exec.Cmd { return exec.Command("sleep", "300") }

// staleFile names a process that has ended.
func staleFile(c *call) error {
	p := sleeping()
	if err := p.Start(); err != nil {
		return err
	}
	if err := p.Process.Kill(); err != nil {
		return err
	}
	_ = p.Wait() // it was killed
	return pidFile(strconv.Itoa(p.Process.Pid))(c)
}

// leaveProcess leaves one where the runtime's own are.
func leaveProcess(c *call) error {
	return errors.Join(leaveSleeping(c), c.run())
}

// leaveGroup makes the container's group anew.
func leaveGroup(c *call) error {
	s, err := c.spec()
	if err != nil {
		return err
	}
	parents, err := cgroup.At(filepath.Dir(s.Linux.CgroupsPath))
	if err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(parents[0], filepath.Base(s.Linux.CgroupsPath)), 0o755)
}

// otherState has the runtime keep its state elsewhere in the bundle.
func otherState(c *call) error {
	i := slices.Index(c.args, "--root")
	c.args = slices.Clone(c.args)
	c.args[i+1] = filepath.Join(c.bundle(), "elsewhere")
	return nil
}

// removeState removes what a runtime leaves of the directory that --root names.
func removeState(c *call) error { return os.RemoveAll(c.option("--root")) }

// joinDots is a runtime for which the id ".." is a part of the path of its state.
func joinDots(c *call) error {
	id, root := slices.Index(c.args, ".."), slices.Index(c.args, "--root")
	if id < 0 {
		return nil
	}
	c.args = slices.Clone(c.args)
	c.args[id], c.args[root+1] = "dots", c.bundle()
	return nil
}

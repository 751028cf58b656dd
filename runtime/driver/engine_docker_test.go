package driver_test

import (
	"archive/tar"
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeDocker answers the client of docker as an engine does, by HTTP on a socket: docs.docker.com, Engine API.
// It has one image and one container, which is a process in a root directory and in a cgroup.
type fakeDocker struct {
	t      *testing.T
	groups []string // the container's
	root   string   // of the image, extracted

	mu     sync.Mutex
	image  bool           // it is there
	config map[string]any // of the container, as it was sent; nil where there is none
	conn   net.Conn       // of the attached client
	cmd    *exec.Cmd
	ended  chan struct{}
	state  struct {
		Status        string
		Pid, ExitCode int
		StartedAt     string
	}
}

func newFakeDocker(t *testing.T, s *stand) *fakeDocker {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip(err)
	}
	f := &fakeDocker{t: t, root: t.TempDir()}
	for _, h := range s.parent.Hierarchies() {
		f.groups = append(f.groups, filepath.Join(h.Path, engineID))
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	check(t, err)
	server := &http.Server{Handler: f} //nolint:gosec // for one client of the test's own
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		check(t, server.Close())
		if f.config != nil || f.image {
			t.Errorf("still there: the image %v, the container %v", f.image, f.config != nil)
		}
	})
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	return f
}

func (f *fakeDocker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Api-Version", "1.41") // of 20.10
		w.Header().Set("Ostype", "linux")
		w.WriteHeader(code)
		if body != nil {
			_ = json.NewEncoder(w).Encode(body)
		}
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
	switch strings.TrimSuffix(path, "/"+engineID) + " " + r.Method {
	case "_ping HEAD", "_ping GET":
		answer(http.StatusOK, nil)
	case "info GET":
		answer(http.StatusOK, map[string]any{"ServerVersion": "27.1.0", "CgroupDriver": "cgroupfs"})
	case "version GET":
		answer(http.StatusOK, map[string]any{"Version": "27.1.0", "Components": []map[string]string{{"Name": "runc", "Version": "1.1.5"}}})
	case "images/create POST":
		f.extract(r.Body)
		f.image = true
		answer(http.StatusOK, map[string]string{"status": "sha256:" + engineID})
	case "images/sha256:" + engineID + " DELETE":
		f.image = false
		answer(http.StatusOK, []map[string]string{{"Deleted": "sha256:" + engineID}})
	case "containers/create POST":
		f.mu.Lock()
		check(f.t, json.NewDecoder(r.Body).Decode(&f.config))
		f.state.Status, f.state.StartedAt, f.ended = "created", "0001-01-01T00:00:00Z", make(chan struct{})
		f.state.ExitCode = 0
		f.mu.Unlock()
		answer(http.StatusCreated, map[string]any{"Id": engineID, "Warnings": []string{}})
	case "containers/" + engineID + "/json GET":
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(http.StatusOK, map[string]any{
			"Id": engineID, "State": f.state, "HostConfig": map[string]any{},
			"Config": map[string]any{"OpenStdin": f.config["OpenStdin"], "AttachStdin": f.config["AttachStdin"], "StdinOnce": f.config["StdinOnce"]},
		})
	case "containers/" + engineID + "/attach POST":
		conn, _, err := http.NewResponseController(w).Hijack()
		check(f.t, err)
		f.mu.Lock()
		f.conn = conn // before the client knows
		f.mu.Unlock()
		_, err = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		check(f.t, err)
	case "containers/" + engineID + "/wait POST":
		answer(http.StatusOK, nil)
		check(f.t, http.NewResponseController(w).Flush())
		select {
		case <-f.ended:
			_ = json.NewEncoder(w).Encode(map[string]int{"StatusCode": f.state.ExitCode})
		case <-r.Context().Done():
		}
	case "containers/" + engineID + "/start POST":
		if err := f.start(); err != nil {
			answer(http.StatusNotFound, map[string]string{"message": err.Error()})
			return
		}
		answer(http.StatusNoContent, nil)
	case "containers/" + engineID + "/kill POST":
		n, err := strconv.Atoi(r.URL.Query().Get("signal"))
		check(f.t, err)
		_ = f.cmd.Process.Signal(unix.Signal(n)) // it may have ended
		answer(http.StatusNoContent, nil)
	case "containers DELETE": // its id is cut off
		f.remove()
		answer(http.StatusNoContent, nil)
	default:
		answer(http.StatusNotFound, map[string]string{"message": r.Method + " " + r.URL.Path})
	}
}

// extract puts the regular files and directories of an image into the root directory.
func (f *fakeDocker) extract(image io.Reader) {
	root, err := os.OpenRoot(f.root)
	check(f.t, err)
	defer root.Close()
	for r := tar.NewReader(image); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		check(f.t, err)
		switch {
		case h.Typeflag == tar.TypeDir && h.Name != ".":
			_ = root.Mkdir(h.Name, 0o755) // the second container's is there
		case h.Typeflag == tar.TypeReg:
			file, err := root.OpenFile(h.Name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, os.FileMode(h.Mode))
			check(f.t, err)
			_, err = io.Copy(file, r)
			check(f.t, errors.Join(err, file.Close()))
		}
	}
}

// start starts the program, which has come to its groups before anybody is told.
func (f *fakeDocker) start() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var args []string
	for _, a := range f.config["Cmd"].([]any) {
		args = append(args, a.(string))
	}
	f.cmd = exec.Command(args[0], args[1:]...)
	f.cmd.Dir, f.cmd.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: f.root}
	in, err := f.cmd.StdinPipe()
	check(f.t, err)
	f.cmd.Stdout, f.cmd.Stderr = &frames{f.conn, 1}, &frames{f.conn, 2}
	if err := f.cmd.Start(); err != nil {
		f.state.ExitCode = 127
		return errors.Join(err, f.conn.Close())
	}
	for _, g := range f.groups {
		check(f.t, os.Mkdir(g, 0o755))
		check(f.t, os.WriteFile(filepath.Join(g, "cgroup.procs"), []byte(strconv.Itoa(f.cmd.Process.Pid)), 0o644))
	}
	f.state.Status, f.state.Pid, f.state.StartedAt = "running", f.cmd.Process.Pid, "2024-01-01T00:00:00Z"
	conn := f.conn
	go func() { _, _ = io.Copy(in, bufio.NewReader(conn)); _ = in.Close() }()
	go func() {
		_ = f.cmd.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		status := f.cmd.ProcessState.Sys().(syscall.WaitStatus)
		f.state.Status, f.state.Pid, f.state.ExitCode = "exited", 0, status.ExitStatus()
		if status.Signaled() {
			f.state.ExitCode = 128 + int(status.Signal())
		}
		_ = conn.Close()
		close(f.ended)
	}()
	return nil
}

func (f *fakeDocker) remove() {
	f.mu.Lock()
	runs := f.state.Status == "running"
	f.mu.Unlock()
	if runs {
		_ = f.cmd.Process.Kill() // it may have ended
		<-f.ended
	}
	for _, g := range f.groups {
		if err := unix.Rmdir(g); err != nil && !errors.Is(err, unix.ENOENT) {
			f.t.Error(err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.config = nil
}

// frames writes a stream among others: 8 bytes before each part.
type frames struct {
	to     io.Writer
	stream byte
}

func (f *frames) Write(b []byte) (int, error) {
	head := [8]byte{f.stream}
	binary.BigEndian.PutUint32(head[4:], uint32(len(b)))
	if _, err := f.to.Write(append(head[:], b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// TestDockerIsTold asks the real client what it makes of the options.
func TestDockerIsTold(t *testing.T) {
	s := newStand(t, "exit")
	f := newFakeDocker(t, s)
	c, err := s.find(t, "docker").Create(t.Context(), s.bundle)
	check(t, err)
	host, ok := f.config["HostConfig"].(map[string]any)
	if !ok {
		t.Fatalf("it is told %v", f.config)
	}
	for key, want := range map[string]string{
		"CgroupParent": `"/` + s.parent.Name(), "NetworkMode": `"none"`, "IpcMode": `"private"`, "UsernsMode": `"host"`, "CgroupnsMode": `"private"`,
		"CapDrop": `["ALL"]`, "Init": "false", "LogConfig": `"Type":"none"`, "Memory": "268435456", "MemorySwap": "268435456", "PidsLimit": "256",
		"CpuQuota": "100000", "CpuPeriod": "100000", "CpuShares": "1024", "MaskedPaths": "null", "ReadonlyPaths": "null",
		"SecurityOpt": `"label=disable","apparmor=unconfined","no-new-privileges=true","seccomp={\"defaultAction\":`,
		"Tmpfs":       `{"/tmp":"nosuid,nodev,mode=1777,size=65536k,nr_inodes=4096,exec"}`, "ShmSize": "67108864",
		"DeviceCgroupRules": `"c 136:* rwm"]`, "Ulimits": `{"Hard":1024,"Name":"nofile","Soft":1024}`, "Devices": "[]", "Privileged": "false",
		"Sysctls": `{"net.ipv4.ip_unprivileged_port_start":"1024","net.ipv4.ping_group_range":"1 0"}`,
	} {
		raw, err := json.Marshal(host[key])
		if err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("%s is %s, want %s in it (%v)", key, raw, want, err)
		}
	}
	if raw, err := json.Marshal(f.config["Cmd"]); err != nil || string(raw) != `["/cellwall-attacker","exit"]` || f.config["Image"] != "sha256:"+engineID || f.config["Hostname"] != "cellwall" {
		t.Errorf("it is told %v", f.config)
	}
	check(t, c.Delete(t.Context()))
	s.noEngine(t)
}

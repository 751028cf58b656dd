package driver

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLeftStates: what crun and runc keep is ours where the bundle lies in a directory of a lease's name, and nobody
// else's is touched.
func TestLeftStates(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"crun/ours":   `{"pid": 9, "rootfs": "/x", "bundle": "/dev/shm/cellwall-abc/cellwall-abc-7/podman-1/userdata", "created": ""}`,
		"crun/theirs": `{"pid": 9, "rootfs": "/dev/shm/cellwall-abc/x", "bundle": "/var/lib/containers/userdata"}`,
		"crun/none":   `{"pid": 9`,
		"runc/ours":   `{"id":"x","config":{"labels":["a=b","bundle=/tmp/cellwall-def/userdata"]}}`,
	} {
		file := filepath.Join(dir, name, "status")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left, err := leftStates([]string{filepath.Join(dir, "crun/*/status"), filepath.Join(dir, "runc/*/status")})
	if err != nil || len(left) != 2 || left[0].Name != "cellwall-abc" || left[1].Name != "cellwall-def" {
		t.Fatalf("left %+v, %v", left, err)
	}
	for _, l := range left {
		if err := l.Remove(); err != nil {
			t.Error(err)
		}
	}
	for name, stays := range map[string]bool{"crun/ours": false, "runc/ours": false, "crun/theirs": true, "crun/none": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

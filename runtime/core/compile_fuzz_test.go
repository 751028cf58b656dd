package core_test

import (
	"encoding/json"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// FuzzCompile: whatever a config.json says, it is a plan or an error.
func FuzzCompile(f *testing.F) {
	for _, r := range spec.Ladder() {
		raw, err := json.Marshal(goldenSpec(r))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"process":{"args":["sh"],"cwd":"/","terminal":true},"root":{"path":"/"},"linux":{"namespaces":[{"type":"mount"},{"type":"pid","path":"/p"}],` +
		`"devices":[{"path":"/dev/x","type":"c","major":4095,"minor":1048575}],"maskedPaths":["/a","/.//b"],"seccomp":{"defaultAction":"SCMP_ACT_LOG"}},` +
		`"mounts":[{"destination":"proc","type":"proc"},{"destination":"/proc/a","source":"/sys","options":["rbind","rro"]},{"destination":"/c/../d","type":"tmpfs","options":["x","slave"]}],` +
		`"hooks":{"poststart":[{"path":"/x"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s specs.Spec
		if json.Unmarshal(raw, &s) != nil {
			return
		}
		plan, err := core.Compile(core.Request{Spec: &s, Host: goldenHost})
		if (plan == nil) == (err == nil) {
			t.Errorf("plan %v, error %v", plan, err)
		}
	})
}

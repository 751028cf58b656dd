package judge

import (
	"errors"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

func TestAffordable(t *testing.T) {
	held := []string{"CAP_KILL", "CAP_SYS_ADMIN"}
	for _, test := range []struct {
		name  string
		edits spec.Edits
		lacks bool
	}{
		{name: "what the rung keeps"},
		{name: "one that is held", edits: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")}},
		{name: "one that is not", edits: spec.Edits{spec.WithCapability("CAP_SYS_RESOURCE")}, lacks: true},
		{name: "none listed", edits: spec.Edits{spec.Change("no list", func(s *specs.Spec) { s.Process.Capabilities = nil })}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := test.edits.Apply(spec.New(spec.Hardened, spec.Options{Rootfs: "/", Args: []string{"/x"}, Capabilities: held}))
			if err := affordable(s, held); errors.Is(err, kernel.ErrNotSupported) != test.lacks {
				t.Errorf("%v", err)
			}
		})
	}
}

package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// podmanOCI is what podman takes where nobody tells it anything else: crun, or runc where there is none:
// containers.conf(5), runtime. It is told, so that it takes no other.
func podmanOCI(ctx context.Context, _ string) (*oci, error) {
	for _, known := range []struct {
		name string
		quirks
	}{{crunName, crunQuirks}, {runcName, runcQuirks}} {
		path, err := lookUp(known.name)
		switch {
		case err == nil:
			return newOCI(ctx, known.name, path, known.quirks)
		case !errors.Is(err, ErrAbsent):
			return nil, err
		}
	}
	return nil, &Unfit{Name: "podman", Why: errors.New("it needs crun or runc")}
}

// dockerOCI is the runtime of an engine, which is asked for its version. It is on the engine's host, and we may not find
// its program.
func dockerOCI(ctx context.Context, path string) (*oci, error) {
	out, err := dockerSays(ctx, path, "version", "--format={{json .Server.Components}}")
	if err != nil {
		return nil, err
	}
	var components []struct{ Name, Version string }
	if err := json.Unmarshal([]byte(out), &components); err != nil {
		return nil, fmt.Errorf("docker version: read the versions: %w", err)
	}
	for _, c := range components {
		if c.Name == runcName && c.Version != "" {
			return &oci{name: runcName, version: c.Version, namespaces: sinceOneZero, quirks: runcQuirks}, nil
		}
	}
	return nil, nil
}

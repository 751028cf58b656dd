//go:build !amd64

package kernel

import "runtime"

func probeI386() error { return absent(Hardware, "an ABI of x86, not of %s", runtime.GOARCH) }

func probeX32() error { return absent(Hardware, "an ABI of x86, not of %s", runtime.GOARCH) }

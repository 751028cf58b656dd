package rootfs

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// digest is an algorithm and a value in lower-case hexadecimal, as the OCI image-spec's
// descriptor.md has it. Only parseDigest makes one.
type digest struct{ algorithm, hex string }

func parseDigest(s string) (digest, error) {
	algorithm, value, _ := strings.Cut(s, ":")
	d := digest{algorithm, value}
	size := map[string]int{"sha256": sha256.Size, "sha512": sha512.Size}[algorithm]
	raw, err := hex.DecodeString(value)
	if err != nil || size == 0 || len(raw) != size || value != strings.ToLower(value) {
		return digest{}, fmt.Errorf("digest %s: want sha256:HEX or sha512:HEX", quote(s))
	}
	return d, nil
}

func (d digest) String() string { return d.algorithm + ":" + d.hex }

// path is where a layout keeps the blob.
func (d digest) path() string { return "blobs/" + d.algorithm + "/" + d.hex }

func (d digest) hash() hash.Hash {
	if d.algorithm == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}

func (d digest) check(h hash.Hash) error {
	if got := hex.EncodeToString(h.Sum(nil)); got != d.hex {
		return fmt.Errorf("digest is %s:%s, not %s: the archive is damaged or forged", d.algorithm, got, d)
	}
	return nil
}

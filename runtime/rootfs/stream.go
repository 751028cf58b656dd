package rootfs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// budget is what may still be unpacked. Both numbers go below zero when it is used up.
type budget struct {
	bytes, maxBytes     int64
	entries, maxEntries int
}

func (b *budget) takeBytes(n int64) error {
	if n < 0 || n > b.bytes {
		return fmt.Errorf("larger than the limit of %d bytes", b.maxBytes)
	}
	b.bytes -= n
	return nil
}

func (b *budget) takeEntry() error {
	b.entries--
	if b.entries < 0 {
		return fmt.Errorf("more than the limit of %d entries", b.maxEntries)
	}
	return nil
}

// decompress finds out by the first bytes how r is compressed.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReader(r)
	magic, err := b.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	has := func(s string) bool { return bytes.HasPrefix(magic, []byte(s)) }
	switch {
	case len(magic) == 0:
		return nil, errors.New("is empty")
	case has("\x1f\x8b"):
		return gzip.NewReader(b)
	case has("\x28\xb5\x2f\xfd"):
		// 128 MiB is the largest window that zstd(1) reads unasked.
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case has("\xfd7zXZ\x00"), has("BZh"):
		return nil, errors.New("is compressed with xz or bzip2: unpack it, or use gzip or zstd")
	}
	return io.NopCloser(b), nil
}

// bounded reads at most what the budget of a stream has: headers and padding count, too.
type bounded struct {
	r io.Reader
	b *budget
}

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if over := b.b.takeBytes(int64(n)); over != nil {
		return 0, over
	}
	return n, err
}

// eachEntry calls f for the entries of a tar, compressed or not, with its name made plain, and
// copies the uncompressed stream to sum. It reads to the end of r.
func eachEntry(r io.Reader, b *budget, sum io.Writer, f func(name string, h *tar.Header, content io.Reader) error) (err error) {
	plain, err := decompress(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.Close()) }()
	stream := io.TeeReader(bounded{plain, b}, sum)
	t := tar.NewReader(stream)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		// What ErrInsecurePath reports is refused below, or harmless here.
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("read tar: %w", err)
		}
		if err := b.takeEntry(); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name, err := plainName(h.Name)
		if err == nil {
			err = f(name, h, t)
		}
		if err != nil {
			return fmt.Errorf("entry %s: %w", quote(h.Name), err)
		}
	}
	_, err = io.Copy(io.Discard, stream)
	return err
}

// plainName takes away what says nothing: "/", "./", "//". What is left is relative, or empty
// for the root itself.
func plainName(name string) (string, error) {
	if strings.Contains(name, "\x00") {
		return "", errors.New("name holds a zero byte")
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", errors.New(`name holds ".."`)
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/"), nil
}

// quote makes a name from an archive fit for a message.
func quote(name string) string {
	const most = 200
	if len(name) > most {
		return fmt.Sprintf("%q...", name[:most])
	}
	return fmt.Sprintf("%q", name)
}

// scan reads a whole tar and says whether it holds an image: an OCI layout, or the manifest.json
// of docker save, which must parse, since a root directory may hold a file of that name.
func scan(r io.ReadSeeker, b *budget) (isImage bool, err error) {
	layout, index, docker := false, false, false
	err = eachEntry(r, b, io.Discard, func(name string, _ *tar.Header, content io.Reader) error {
		switch name {
		case "oci-layout":
			layout = true
		case "index.json":
			index = true
		case "manifest.json":
			var list []dockerManifest
			err := json.NewDecoder(io.LimitReader(content, maxJSON)).Decode(&list)
			docker = err == nil && len(list) > 0 && len(list[0].Layers) > 0
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	_, err = r.Seek(0, io.SeekStart)
	return layout && index || docker, err
}

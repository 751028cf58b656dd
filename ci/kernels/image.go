package kernels

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxImage is far more than any kernel has, in bytes, unpacked.
const maxImage = 256 << 20

// inspect says for which architecture a kernel is, and its release where it tells that: a bzImage
// (Documentation/arch/x86/boot.rst), an arm64 Image (Documentation/arch/arm64/booting.rst) which
// may be compressed by gzip, or an EFI image that unpacks itself (drivers/firmware/efi/libstub/zboot.c),
// which does not tell.
func inspect(f io.Reader) (arch, release string, err error) {
	raw, err := io.ReadAll(io.LimitReader(f, maxImage))
	if err != nil {
		return "", "", fmt.Errorf("read the kernel: %w", err)
	}
	if bytes.HasPrefix(raw, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err == nil {
			raw, err = io.ReadAll(io.LimitReader(z, maxImage))
		}
		if err != nil {
			return "", "", fmt.Errorf("unpack the kernel: %w", err)
		}
	}
	switch at := func(offset int, magic string) bool {
		return len(raw) >= offset+len(magic) && string(raw[offset:offset+len(magic)]) == magic
	}; {
	case at(0x202, "HdrS"):
		release, err = bzImageRelease(raw)
		return "amd64", release, err
	case at(0x38, "ARM\x64"):
		release, err = bannerRelease(raw)
		return "arm64", release, err
	case at(0, "MZ") && at(4, "zimg"):
		arch, err = portableArch(raw)
		return arch, "", err
	case at(0, "\x7fELF"):
		return "", "", errors.New("an ELF file is a kernel before it is made bootable: take arch/x86/boot/bzImage or arch/arm64/boot/Image of the same build")
	}
	return "", "", errors.New("no kernel for amd64 (bzImage) or arm64 (Image, Image.gz)")
}

// bzImageRelease follows the header's kernel_version, which counts from 0x200.
func bzImageRelease(raw []byte) (string, error) {
	if len(raw) < 0x210 {
		return "", errors.New("the kernel's header is cut short")
	}
	at := 0x200 + int(binary.LittleEndian.Uint16(raw[0x20e:]))
	if at == 0x200 || at >= len(raw) {
		return "", errors.New("the kernel's header names no version")
	}
	return release(raw[at:])
}

// bannerRelease looks for the first line that the kernel will print: init/version.c.
func bannerRelease(raw []byte) (string, error) {
	const banner = "Linux version "
	for rest := raw; ; {
		i := bytes.Index(rest, []byte(banner))
		if i < 0 {
			return "", errors.New("the kernel names no version")
		}
		rest = rest[i+len(banner):]
		if len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' { // and no format such as %s
			return release(rest)
		}
	}
}

// release is the first word, which is a file name too: lib/modules has a directory of it.
func release(text []byte) (string, error) {
	const most = 64 // with the zero byte: __NEW_UTS_LEN
	word, _, _ := strings.Cut(string(text[:min(len(text), most)]), " ")
	if !aRelease.MatchString(word) {
		return "", fmt.Errorf("the kernel's version %q is none", word)
	}
	return word, nil
}

// portableArch reads the machine of a PE file.
func portableArch(raw []byte) (string, error) {
	if len(raw) >= 0x40 {
		if at := int64(binary.LittleEndian.Uint32(raw[0x3c:])); at+6 <= int64(len(raw)) && string(raw[at:at+4]) == "PE\x00\x00" {
			switch binary.LittleEndian.Uint16(raw[at+4:]) {
			case 0x8664:
				return "amd64", nil
			case 0xaa64:
				return "arm64", nil
			}
		}
	}
	return "", errors.New("the EFI image is for neither amd64 nor arm64")
}

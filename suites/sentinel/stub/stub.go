// Package stub is the sentinel process: a host process that does nothing but be there.
//
// It is the attacker's program under another name (package attacker), and takes over as it is initialised.
// Package sentinel starts and watches it.
package stub

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// Program is the base name under which the binary is a sentinel process.
const Program = "cellwall-sentinel"

// init takes over: the arguments are the nonce, which stays in memory at the address that is
// written to standard output. The process ends with its standard input.
func init() {
	if filepath.Base(os.Args[0]) != Program || len(os.Args) != 2 {
		return
	}
	page, err := syscall.Mmap(-1, 0, syscall.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	copy(page, os.Args[1])
	fmt.Println(uintptr(unsafe.Pointer(&page[0])))
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// loadModules loads files in their order and frees the memory of the files. One that the kernel
// does not take is a note: whoever needs it will say more.
func loadModules(files []string) (notes []string, err error) {
	for _, file := range files {
		if err := loadModule(file); err != nil {
			notes = append(notes, err.Error())
		}
	}
	if err := os.RemoveAll(ModulePath); err != nil {
		return notes, fmt.Errorf("remove loaded modules: %w", err)
	}
	return notes, nil
}

func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer f.Close() //nolint:errcheck // read-only
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load module %s: %w", filepath.Base(file), err)
	}
	return nil
}

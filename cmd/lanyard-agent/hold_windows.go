package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/windows"
)

// hold holds a name for this process alone until let go, or until the process
// has ended, however it did. held is false while another one holds it. Each
// session has names of its own.
func hold(path string) (letGo func(), held bool, err error) {
	name, err := windows.UTF16PtrFromString(`Local\` + path[strings.LastIndexByte(path, '\\')+1:])
	if err != nil {
		return nil, false, err
	}
	mutex, err := windows.CreateMutex(nil, false, name)
	if errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		_ = windows.CloseHandle(mutex)
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("hold %s: %w", path, err)
	}
	return func() { _ = windows.CloseHandle(mutex) }, true, nil
}

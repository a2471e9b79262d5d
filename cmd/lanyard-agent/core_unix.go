//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// withoutCore keeps the memory of this process, and of the windows that it opens,
// off the disk if one of them falls over: a passcode passes through both.
func withoutCore() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("do without core files: %w", err)
	}
	return nil
}

//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// hold holds a file for this process alone until let go, or until the process
// has ended, however it did. held is false while another one holds it.
func hold(path string) (letGo func(), held bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // in the folder of this session, which is its person's alone
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, false, nil
		}
		return nil, false, fmt.Errorf("hold %s: %w", path, err)
	}
	return func() { _ = f.Close() }, true, nil
}

//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// owned says whether a file is this person's.
func owned(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}

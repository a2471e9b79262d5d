package main

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// socketPath is where the agent of this session waits: at a pipe of its own,
// which is its person's alone.
func socketPath(func(string) string) (string, error) {
	var session uint32
	if err := windows.ProcessIdToSessionId(windows.GetCurrentProcessId(), &session); err != nil {
		return "", fmt.Errorf("session of Windows: %w", err)
	}
	return fmt.Sprintf(`\\.\pipe\lanyard-agent-%d`, session), nil
}

// makePlace makes nothing: pipes have no folder.
func makePlace(string) error { return nil }

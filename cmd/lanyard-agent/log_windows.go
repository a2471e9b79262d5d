package main

import (
	"os"
	"path/filepath"
)

// journalListens says no: there is no journal.
func journalListens(func(string) string, *os.File) bool { return false }

// logPath is where programs of a person keep what is of one computer only.
func logPath(getenv func(string) string) string {
	folder := getenv("LOCALAPPDATA")
	if !filepath.IsAbs(folder) {
		return ""
	}
	return filepath.Join(folder, "Lanyard", "Agent", "logs", "agent.log")
}

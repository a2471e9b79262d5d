//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// asker is the desktop's own window where there is one, and the terminal where
// there is none.
func asker(in *os.File, out io.Writer) prompt.Prompt {
	if os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "" {
		if program, _ := windowProgram(); program != "" {
			return prompt.Pinentry{Program: program, Env: os.Environ(), Now: time.Now}
		}
	}
	return prompt.NewTerminal(in, out)
}

// windowPrograms ask for passcodes in windows. The first is the one that the
// computer's administrator has chosen.
var windowPrograms = []string{"pinentry", "pinentry-gnome3", "pinentry-gtk-2", "pinentry-qt", "pinentry-qt5", "pinentry-fltk"}

// windowProgram is the path of what opens the passcode window, or why there is
// none. One that asks at a terminal is none: nobody sits at the agent's.
func windowProgram() (path, why string) {
	why = "there is no pinentry"
	for _, name := range windowPrograms {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		to, err := filepath.EvalSymlinks(program)
		if err != nil {
			continue
		}
		if name := filepath.Base(to); strings.Contains(name, "curses") || strings.Contains(name, "tty") {
			why = name + " opens no window"
			continue
		}
		return program, ""
	}
	return "", why
}

// systemLanguage says nothing: the session's variables do.
func systemLanguage() string { return "" }

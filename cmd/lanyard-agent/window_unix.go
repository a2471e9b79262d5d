//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
)

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

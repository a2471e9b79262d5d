package main

import (
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// asker is the desktop where people see it, and the terminal where they do not:
// of a program that came over the network, say.
func asker(in *os.File, out io.Writer) prompt.Prompt {
	if desktopSeen() {
		return prompt.Desktop{Now: time.Now}
	}
	return prompt.NewTerminal(in, out)
}

// desktopSeen says whether the windows of this program are seen by anybody. What
// a service has started has a desktop of its own.
func desktopSeen() bool {
	user32 := windows.NewLazySystemDLL("user32.dll")
	station, _, _ := user32.NewProc("GetProcessWindowStation").Call()
	var flags struct {
		_, _  int32
		Flags uint32
	}
	const aboutFlags, visible = 1, 1 // UOI_FLAGS, WSF_VISIBLE
	told, _, _ := user32.NewProc("GetUserObjectInformationW").Call(station, aboutFlags, uintptr(unsafe.Pointer(&flags)), unsafe.Sizeof(flags), 0)
	return told != 0 && flags.Flags&visible != 0
}

// systemLanguage is the language in which Windows speaks with this person.
func systemLanguage() string {
	all, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil || len(all) == 0 {
		return ""
	}
	return all[0]
}

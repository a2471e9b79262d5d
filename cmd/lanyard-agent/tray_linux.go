package main

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"

	"fyne.io/systray"
)

//go:embed icon.png
var icon []byte

// show shows the icon where the desktop has a tray, and again where the tray
// comes later. The icon goes with the program. Without a session's bus nothing
// is shown: looking for one would start one.
func (t tray) show(_ context.Context, getenv func(string) string) {
	if !busIsThere(getenv) {
		return
	}
	systray.SetTitle("Lanyard") // its name on the bus is made of this, so it comes first
	go systray.Run(t.fill, nil)
}

func busIsThere(getenv func(string) string) bool {
	if address := getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return true
	}
	folder := getenv("XDG_RUNTIME_DIR")
	if folder == "" {
		return false
	}
	info, err := os.Stat(filepath.Join(folder, "bus"))
	return err == nil && info.Mode().Type() == os.ModeSocket
}

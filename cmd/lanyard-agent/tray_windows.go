package main

import (
	"context"
	_ "embed"
	"runtime"

	"fyne.io/systray"
)

//go:embed icon.ico
var icon []byte

// show shows the icon until ctx is done. The icon's window belongs to the thread
// that made it, and an icon that is not taken away stays until somebody points
// at it.
func (t tray) show(ctx context.Context, _ func(string) string) {
	go func() {
		runtime.LockOSThread()
		systray.Run(t.fill, nil)
	}()
	context.AfterFunc(ctx, systray.Quit)
}

//go:build linux || windows

package main

import (
	"sync"

	"fyne.io/systray"
)

// tray is an icon on the desktop with a menu of two.
type tray struct {
	words  standingWords
	status func() // returns when the person has read how the agent stands
	close  func()
}

// fill puts the icon and its menu where they belong, and answers what is chosen.
// It waits for clicks and asks for nothing by itself.
func (t tray) fill() {
	systray.SetIcon(icon)
	systray.SetTooltip("Lanyard")
	status, end := systray.AddMenuItem(t.words.Status, ""), systray.AddMenuItem(t.words.Close, "")
	go func() {
		var open sync.Mutex // one window is enough
		for {
			select {
			case <-status.ClickedCh:
				go func() {
					if open.TryLock() {
						defer open.Unlock()
						t.status()
					}
				}()
			case <-end.ClickedCh:
				t.close()
			}
		}
	}()
}

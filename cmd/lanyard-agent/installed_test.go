//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRegisterBesidePackage(t *testing.T) {
	t.Run("own rule: with the package installed no other entry is written", func(t *testing.T) {
		home, system, bin := t.TempDir(), t.TempDir(), t.TempDir()
		put(t, system, map[string]string{"applications/" + installedEntry: ""})
		put(t, bin, map[string]string{"xdg-mime": "#!/bin/sh\ntouch '" + home + "/asked'\n"})
		t.Setenv("PATH", bin)
		undo, err := register(t.Context(), func(name string) string {
			return map[string]string{"HOME": home, "XDG_DATA_DIRS": filepath.Join(system, "none") + ":" + system}[name]
		}, "/usr/bin/lanyard-agent")
		if err != nil {
			t.Fatal(err)
		}
		undo()
		if left, _ := os.ReadDir(home); len(left) != 0 {
			t.Errorf("in the home there is %v", left)
		}
		if _, err := os.Stat(filepath.Join(system, "applications", installedEntry)); err != nil {
			t.Error("the package's entry was taken away")
		}
	})
}

//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeMime stands in for xdg-mime: it keeps the one entry that is set, in a file.
const fakeMime = `#!/bin/sh
case $1 in
  query) cat "$(dirname "$0")/opener" 2>/dev/null ;;
  default) echo "$2" >"$(dirname "$0")/opener" ;;
esac
`

func TestRegister(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "xdg-mime"), []byte(fakeMime), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	var home string
	getenv := func(name string) string {
		return map[string]string{"HOME": home, "XDG_DATA_DIRS": "/nowhere"}[name]
	}
	entry := func() string { return filepath.Join(home, ".local/share/applications", sessionEntry) }
	opens := func(t *testing.T, want string) {
		t.Helper()
		if got := opener(t.Context(), filepath.Join(bin, "xdg-mime")); got != want {
			t.Errorf("links are opened by %q, want %q", got, want)
		}
	}
	begin := func(t *testing.T, before string) (undo func()) {
		t.Helper()
		home = t.TempDir()
		if err := os.WriteFile(filepath.Join(bin, "opener"), []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		undo, err := register(t.Context(), getenv, `/opt/a "b"/lanyard-agent`)
		if err != nil {
			t.Fatal(err)
		}
		opens(t, sessionEntry)
		return undo
	}
	t.Run("own rule: links are opened by this program, whatever its path is called, and none is an option of it", func(t *testing.T) {
		undo := begin(t, "")
		b, err := os.ReadFile(entry())
		if err != nil || !strings.Contains(string(b), `Exec="/opt/a \\"b\\"/lanyard-agent" open -- %u`) {
			t.Errorf("%s, %v", b, err)
		}
		undo()
		if _, err := os.Stat(entry()); !os.IsNotExist(err) {
			t.Error("it was left there")
		}
	})
	t.Run("own rule: who opened links before the agent does so after it", func(t *testing.T) {
		begin(t, "other.desktop\n")()
		opens(t, "other.desktop")
	})
	t.Run("own rule: who was chosen since is left", func(t *testing.T) {
		undo := begin(t, "other.desktop\n")
		if err := setOpener(t.Context(), filepath.Join(bin, "xdg-mime"), "chosen.desktop"); err != nil {
			t.Fatal(err)
		}
		undo()
		opens(t, "chosen.desktop")
	})
	t.Run("own rule: without a home the agent says why it opens no links, and writes nothing", func(t *testing.T) {
		here := t.TempDir()
		t.Chdir(here)
		home = ""
		if _, err := register(t.Context(), getenv, "/x"); err == nil || !strings.Contains(err.Error(), "HOME") {
			t.Errorf("register() = %v", err)
		}
		if left, err := os.ReadDir(here); err != nil || len(left) != 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	})
}

func TestRegisterForReal(t *testing.T) {
	t.Run("own rule: an agent that has ended leaves a person's list of who opens what as it was", func(t *testing.T) {
		if _, err := exec.LookPath("xdg-mime"); err != nil {
			t.Skip("xdg-utils are not installed")
		}
		home := t.TempDir()
		for name, value := range map[string]string{"HOME": home, "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "XDG_CURRENT_DESKTOP": "", "XDG_DATA_DIRS": "/nowhere"} {
			t.Setenv(name, value)
		}
		list := filepath.Join(home, ".config/mimeapps.list")
		const before = "[Added Associations]\ntext/plain=editor.desktop;\n\n[Default Applications]\ntext/html=browser.desktop\n"
		if err := os.MkdirAll(filepath.Dir(list), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(list, []byte(before), 0o640); err != nil {
			t.Fatal(err)
		}
		undo, err := register(t.Context(), os.Getenv, "/usr/local/bin/lanyard-agent")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(list); err != nil || !strings.Contains(string(b), sessionEntry) {
			t.Errorf("it is not registered: %s, %v", b, err)
		}
		undo()
		if b, err := os.ReadFile(list); err != nil || string(b) != before {
			t.Errorf("the list is %s, %v", b, err)
		}
	})
}

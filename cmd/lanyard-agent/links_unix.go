//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var plain = regexp.MustCompile(`^[A-Za-z0-9/._+@:-]+$`)

// The desktop entries that open our links: of the package, and of an agent that
// runs without one.
const (
	installedEntry = "lanyard-agent.desktop"
	sessionEntry   = "lanyard-agent-session.desktop"
)

// desktopEntry says to the desktop who opens our links.
const desktopEntry = `[Desktop Entry]
Type=Application
Name=Lanyard
Comment=Sign in with the card at this desk
Exec=%s open %%u
NoDisplay=true
Terminal=false
MimeType=x-scheme-handler/lanyard-desk;
`

// register makes this program the one that opens our links, for this person,
// and returns what undoes it. Where there is no desktop nothing is registered,
// and with the package installed its entry is left: it hands links to this agent.
func register(ctx context.Context, getenv func(string) string, program string) (undo func(), err error) {
	if installedIn(cmp.Or(getenv("XDG_DATA_DIRS"), "/usr/local/share:/usr/share")) {
		return func() {}, nil
	}
	folder := getenv("XDG_DATA_HOME")
	if folder == "" {
		folder = filepath.Join(getenv("HOME"), ".local", "share")
	}
	folder = filepath.Join(folder, "applications")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // desktops read it as others do
		return nil, fmt.Errorf("register links: %w", err)
	}
	entry := filepath.Join(folder, sessionEntry)
	if err := os.WriteFile(entry, fmt.Appendf(nil, desktopEntry, quoted(program)), 0o644); err != nil { //nolint:gosec // likewise
		return nil, fmt.Errorf("register links: %w", err)
	}
	undo = func() { _ = os.Remove(entry) }
	xdg, err := exec.LookPath("xdg-mime")
	if err != nil {
		undo()
		return nil, errors.New("register links: xdg-mime is not there (package xdg-utils)")
	}
	if err := exec.CommandContext(ctx, xdg, "default", filepath.Base(entry), "x-scheme-handler/lanyard-desk").Run(); err != nil { //nolint:gosec // found on the PATH
		undo()
		return nil, fmt.Errorf("register links: %w", err)
	}
	return undo, nil
}

// installedIn says whether the package's entry is in one of the folders that
// the computer's programs are in.
func installedIn(folders string) bool {
	return slices.ContainsFunc(filepath.SplitList(folders), func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, "applications", installedEntry))
		return err == nil
	})
}

// quoted writes a path as the Exec line of a desktop entry wants it. A plain one
// stays as it is: where no desktop runs, xdg-open knows no quotes.
func quoted(path string) string {
	if plain.MatchString(path) {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`, "`", "\\\\`", `$`, `\\$`, `%`, `%%`).Replace(path) + `"`
}

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

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
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
Exec=%s open -- %%u
NoDisplay=true
Terminal=false
MimeType=x-scheme-handler/lanyard-desk;
`

// schemeType is how desktops call our links.
const schemeType = "x-scheme-handler/" + desk.Scheme

// register makes this program the one that opens our links, for this person,
// and returns what undoes it. Where there is no desktop nothing is registered,
// and with the package installed its entry is left: it hands links to this agent.
func register(ctx context.Context, getenv func(string) string, program string) (undo func(), err error) {
	if installedIn(cmp.Or(getenv("XDG_DATA_DIRS"), "/usr/local/share:/usr/share")) {
		return func() {}, nil
	}
	folder := personal(getenv, "XDG_DATA_HOME", ".local/share")
	if folder == "" {
		return nil, errors.New("register links: nobody says where this person's programs are (HOME)")
	}
	xdg, err := exec.LookPath("xdg-mime")
	if err != nil {
		return nil, errors.New("register links: xdg-mime is not there (package xdg-utils)")
	}
	folder = filepath.Join(folder, "applications")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // desktops read it as others do
		return nil, fmt.Errorf("register links: %w", err)
	}
	before := opener(ctx, xdg)
	entry := filepath.Join(folder, sessionEntry)
	if err := os.WriteFile(entry, fmt.Appendf(nil, desktopEntry, quoted(program)), 0o644); err != nil { //nolint:gosec // likewise
		return nil, fmt.Errorf("register links: %w", err)
	}
	if err := setOpener(ctx, xdg, sessionEntry); err != nil {
		_ = os.Remove(entry)
		return nil, fmt.Errorf("register links: %w", err)
	}
	return func() { //nolint:contextcheck // it is undone when the agent ends
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		now := opener(ctx, xdg)
		_ = os.Remove(entry)
		if now != sessionEntry { // somebody else's since
			return
		}
		if before != "" && before != sessionEntry {
			_ = setOpener(ctx, xdg, before)
			return
		}
		for _, list := range []string{filepath.Join(personal(getenv, "XDG_CONFIG_HOME", ".config"), "mimeapps.list"), filepath.Join(folder, "mimeapps.list")} {
			forget(list)
		}
	}, nil
}

// personal is a folder of a person's, by the XDG rules; "" if nobody says where.
func personal(getenv func(string) string, name, underHome string) string {
	if folder := getenv(name); filepath.IsAbs(folder) {
		return folder
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, underHome)
	}
	return ""
}

// opener is the entry that opens our links; "" if there is none.
func opener(ctx context.Context, xdg string) string {
	out, _ := exec.CommandContext(ctx, xdg, "query", "default", schemeType).Output()
	return strings.TrimSpace(string(out))
}

func setOpener(ctx context.Context, xdg, entry string) error {
	return exec.CommandContext(ctx, xdg, "default", entry, schemeType).Run() //nolint:gosec // found on the PATH
}

// forget takes our entry out of a list of who opens what: xdg-mime knows no way
// to take one back.
func forget(list string) {
	b, err := os.ReadFile(list) //nolint:gosec // the person's own
	if err != nil {
		return
	}
	var kept strings.Builder
	for line := range strings.Lines(string(b)) {
		if strings.TrimRight(line, "\r\n;") != schemeType+"="+sessionEntry {
			kept.WriteString(line)
		}
	}
	if kept.Len() == len(b) {
		return
	}
	info, err := os.Stat(list)
	if err != nil {
		return
	}
	fresh := list + ".lanyard"
	if os.WriteFile(fresh, []byte(kept.String()), info.Mode().Perm()) == nil {
		_ = os.Rename(fresh, list) // or it stays as it is, which opens nothing
	}
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

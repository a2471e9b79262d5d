//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// noReaderService is what to do without a service for card readers.
const noReaderService = "install pcscd, and see that it runs: systemctl enable --now pcscd.socket"

// session looks at where the agent of this session waits, and whether one does.
func (e *examination) session(ctx context.Context) {
	path, err := socketPath(e.getenv)
	if err != nil {
		e.note(fail, "session", firstLine(err), "see that the folder is this person's alone (mode 0700)")
		return
	}
	if e.getenv("XDG_RUNTIME_DIR") == "" {
		e.note(warn, "session", "there is no XDG_RUNTIME_DIR, so "+filepath.Dir(path)+" stands in for it", "sign in to the desktop by a session of systemd (libpam-systemd)")
	}
	if occupied(ctx, path) {
		e.note(fine, "session", "an agent waits for sign-in pages", "")
		return
	}
	e.note(warn, "session", "no agent waits in this session", "it starts with the next session, or by the link of a sign-in page")
}

// window looks for what asks for the passcode.
func (e *examination) window() {
	program, why := windowProgram()
	switch {
	case program == "":
		e.note(fail, "passcode window", why, "install pinentry-gnome3, pinentry-gtk2 or pinentry-qt")
	case e.getenv("DISPLAY") == "" && e.getenv("WAYLAND_DISPLAY") == "":
		e.note(warn, "passcode window", program+" is there, and this session has no desktop to open it on", "run the agent in a desktop's session")
	default:
		e.note(fine, "passcode window", program+" opens it", "")
	}
}

// links looks who opens the links of sign-in pages.
func (e *examination) links(ctx context.Context) {
	program, err := exec.LookPath("xdg-mime")
	if err != nil {
		e.note(warn, "links", "nobody can say who opens the links of sign-in pages", "install xdg-utils")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch entry := opener(ctx, program); {
	case entry == "":
		e.note(fail, "links", "nobody opens the links of sign-in pages", "install the agent's package; without one, start the agent in this session")
	case !slices.Contains([]string{installedEntry, sessionEntry}, entry):
		e.note(fail, "links", fmt.Sprintf("the links of sign-in pages are opened by %.80q", entry), "run: xdg-mime default "+installedEntry+" "+schemeType)
	default:
		e.note(fine, "links", "this agent opens the links of sign-in pages", "")
	}
}

// known are the browsers that are looked for: by a program, and by where their
// administrator's decisions stand.
var known = []struct {
	name     string
	exact    bool
	programs []string
	policies []string // folders of files, or files; what is read last counts
}{
	{"Chromium", false, []string{"usr/bin/chromium", "usr/bin/chromium-browser", "snap/bin/chromium"}, []string{"etc/chromium/policies/managed", "etc/chromium-browser/policies/managed"}},
	{"Chrome", false, []string{"usr/bin/google-chrome", "usr/bin/google-chrome-stable", "opt/google/chrome/chrome"}, []string{"etc/opt/chrome/policies/managed"}},
	{"Edge", false, []string{"usr/bin/microsoft-edge", "usr/bin/microsoft-edge-stable", "opt/microsoft/msedge/msedge"}, []string{"etc/opt/edge/policies/managed"}},
	{"Firefox", true, []string{"usr/bin/firefox", "usr/bin/firefox-esr", "snap/bin/firefox"},
		[]string{"usr/lib/firefox/distribution/policies.json", "usr/lib/firefox-esr/distribution/policies.json", "etc/firefox/policies/policies.json"}},
}

func (e *examination) installedBrowsers() []installed {
	under := func(path string) string { return filepath.Join("/", e.root, path) }
	var all []installed
	for _, k := range known {
		if !slices.ContainsFunc(k.programs, func(p string) bool { _, err := os.Stat(under(p)); return err == nil }) {
			continue
		}
		b := installed{name: k.name, exact: k.exact}
		for _, place := range k.policies {
			b.policies = append(b.policies, policiesAt(under(place))...)
		}
		all = append(all, b)
	}
	return all
}

// policiesAt reads the files of policies in a folder, or the one that is there.
func policiesAt(place string) []policyText {
	info, err := os.Stat(place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	paths := []string{place}
	if err == nil && info.IsDir() {
		paths, err = filepath.Glob(filepath.Join(place, "*.json"))
	}
	if err != nil {
		return []policyText{unsaid(place, err)}
	}
	var all []policyText
	for _, path := range paths {
		f, err := os.Open(path) //nolint:gosec // a fixed folder of the system's
		if err != nil {
			all = append(all, unsaid(path, err))
			continue
		}
		text, err := io.ReadAll(io.LimitReader(f, maxPolicy))
		_ = f.Close()
		if err != nil {
			all = append(all, unsaid(path, err))
			continue
		}
		all = append(all, policyText{from: path, text: text})
	}
	return all
}

// olderPrograms are those of older products, as the kernel calls them: it keeps
// fifteen letters.
var olderPrograms = []string{"IdentityAgent", "NHSD.IdentityAg", "NHSHub.UI.exe", "NHSHub.UI"}

// installedBefore looks for programs of older products that run here, under Wine
// too.
func (e *examination) installedBefore() []string {
	var found []string
	names, err := filepath.Glob(filepath.Join("/", e.root, "proc/[0-9]*/comm"))
	if err != nil {
		return nil
	}
	for _, path := range names {
		b, err := os.ReadFile(path) //nolint:gosec // the kernel's
		if name := strings.TrimSpace(string(b)); err == nil && slices.Contains(olderPrograms, name) {
			found = append(found, name+" is running")
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(found)))
}

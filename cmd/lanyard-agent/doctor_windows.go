package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// noReaderService is what to do without a service for card readers.
const noReaderService = "start the service Smart Card (SCardSvr)"

// session looks whether an agent waits in this session.
func (e *examination) session(ctx context.Context) {
	path, err := socketPath(e.getenv)
	if err != nil {
		e.note(fail, "session", firstLine(err), "sign in to Windows anew")
		return
	}
	if occupied(ctx, path) {
		e.note(fine, "session", "an agent waits for sign-in pages", "")
		return
	}
	e.note(warn, "session", "no agent waits in this session", "it starts with the next session, or by the link of a sign-in page")
}

// window looks whether there is a desktop to ask on.
func (e *examination) window() {
	if !desktopSeen() {
		e.note(warn, "passcode window", "this session has no desktop to open it on", "run the agent in a desktop's session")
		return
	}
	e.note(fine, "passcode window", "the agent opens it on this desktop", "")
}

// known are the browsers that are looked for: by how they name themselves to
// Windows, and by where their administrator's decisions stand.
var known = []struct {
	name, client, policies string
	exact                  bool
}{
	{"Chromium", "Chromium", `SOFTWARE\Policies\Chromium`, false},
	{"Chrome", "Google Chrome", `SOFTWARE\Policies\Google\Chrome`, false},
	{"Edge", "Microsoft Edge", `SOFTWARE\Policies\Microsoft\Edge`, false},
	{"Firefox", "Firefox", `SOFTWARE\Policies\Mozilla\Firefox`, true},
}

func (e *examination) installedBrowsers() []installed {
	const clients = `SOFTWARE\Clients\StartMenuInternet`
	var there []string
	for _, h := range []hive{machineHive, smallHive, personHive} {
		there = append(there, h.below(clients)...)
	}
	var all []installed
	for _, k := range known {
		if !slices.ContainsFunc(there, func(name string) bool { return strings.HasPrefix(name, k.client) }) {
			continue
		}
		b := installed{name: k.name, exact: k.exact}
		for _, h := range []hive{personHive, machineHive} { // the computer's count over the person's
			if p, ok := h.policies(k.policies); ok {
				b.policies = append(b.policies, p)
			}
		}
		all = append(all, b)
	}
	return all
}

// policies are those of a key, as a file would have them: what Windows has in
// place of a file is a value of JSON, and a key for each list.
func (h hive) policies(path string) (policyText, bool) {
	said := map[string]any{}
	from := h.name + `\` + path
	if text := h.text(path, "AutoLaunchProtocolsFromOrigins"); text != "" {
		if len(text) > maxPolicy || !json.Valid([]byte(text)) {
			return unsaid(from, errors.New("AutoLaunchProtocolsFromOrigins is no JSON")), true
		}
		said["AutoLaunchProtocolsFromOrigins"] = json.RawMessage(text)
	}
	for _, list := range []string{"URLBlocklist", "URLAllowlist"} {
		if all := h.texts(path + `\` + list); all != nil {
			said[list] = all
		}
	}
	text, err := json.Marshal(said)
	if err != nil {
		return unsaid(from, err), true
	}
	return policyText{from: from, text: text}, len(said) > 0
}

// Older products, as they call themselves among the installed programs, and
// their programs.
var (
	olderProducts = []string{"NHS Smartcard Connect", "NHS Credential Management", "NHS Port Service", "HSCIC Identity Agent", "NHS Digital Identity Agent", "NHS Identity Agent"}
	olderPrograms = []string{"NHSD.IdentityAgent.exe", "NHSHub.UI.exe", "IdentityAgent.exe"}
)

// installedBefore looks for older products that are installed, or run.
func (e *examination) installedBefore() []string {
	const programs = `SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall`
	var found []string
	for _, h := range []hive{machineHive, smallHive, personHive} {
		for _, key := range h.below(programs) {
			name := h.text(programs+`\`+key, "DisplayName")
			if slices.ContainsFunc(olderProducts, func(p string) bool { return strings.HasPrefix(name, p) }) {
				found = append(found, fmt.Sprintf("%.80s is installed", name))
			}
		}
	}
	for _, name := range running() {
		if slices.ContainsFunc(olderPrograms, func(p string) bool { return strings.EqualFold(p, name) }) {
			found = append(found, name+" is running")
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(found)))
}

// running lists the programs that run on this computer.
func running() []string {
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = windows.CloseHandle(all) }() // it was only read
	var names []string
	entry := windows.ProcessEntry32{}
	entry.Size = uint32(unsafe.Sizeof(entry))
	for err = windows.Process32First(all, &entry); err == nil; err = windows.Process32Next(all, &entry) {
		names = append(names, windows.UTF16ToString(entry.ExeFile[:]))
	}
	return names
}

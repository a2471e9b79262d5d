package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// Where Windows looks for who opens links of a scheme: a person's own word
// counts over the computer's.
const (
	schemeKey  = `Software\Classes\` + desk.Scheme
	commandKey = schemeKey + `\shell\open\command`
	choiceKey  = `Software\Microsoft\Windows\Shell\Associations\UrlAssociations\` + desk.Scheme + `\UserChoice`
)

// commandOf is how a program is called with a link. Whatever else is in the
// link is no option: a link with quotes in it would be several words.
func commandOf(program string) string { return `"` + program + `" open -- "%1"` }

// register makes this program the one that opens our links, for this person,
// and returns what undoes it. Where the agent is installed for all there is
// nothing to do.
func register(_ context.Context, _ func(string) string, program string) (undo func(), err error) {
	if machineHive.text(commandKey, "") != "" {
		return func() {}, nil
	}
	for _, v := range []struct{ path, name, text string }{
		{schemeKey, "", "URL:Lanyard"},
		{schemeKey, "URL Protocol", ""},
		{commandKey, "", commandOf(program)},
	} {
		if err := personHive.set(v.path, v.name, v.text); err != nil {
			return nil, fmt.Errorf("register links: %w", err)
		}
	}
	tellShell()
	return func() {
		if personHive.text(commandKey, "") != commandOf(program) { // somebody else's since
			return
		}
		for path := commandKey; strings.HasPrefix(path, schemeKey); path = filepath.Dir(path) {
			_ = registry.DeleteKey(personHive.key, path) // one with more in it stays
		}
		tellShell()
	}, nil
}

func (h hive) set(path, name, text string) error {
	k, _, err := registry.CreateKey(h.key, path, registry.SET_VALUE|h.view)
	if err != nil {
		return err
	}
	return errors.Join(k.SetStringValue(name, text), k.Close())
}

// tellShell says that it has changed who opens what.
func tellShell() {
	const changed = 0x08000000 // SHCNE_ASSOCCHANGED
	notify := windows.NewLazySystemDLL("shell32.dll").NewProc("SHChangeNotify")
	if notify.Find() == nil {
		_, _, _ = notify.Call(changed, 0, 0, 0)
	}
}

// links looks who opens the links of sign-in pages.
func (e *examination) links(context.Context) {
	command, from := "", ""
	for _, h := range []hive{personHive, machineHive} {
		if command = h.text(commandKey, ""); command != "" {
			from = h.name + `\` + commandKey
			break
		}
	}
	if chosen := personHive.text(choiceKey, "ProgId"); chosen != "" && chosen != desk.Scheme {
		command, from = chosen, personHive.name+`\`+choiceKey
	}
	self, err := os.Executable()
	switch {
	case command == "":
		e.note(fail, "links", "nobody opens the links of sign-in pages", "install the agent; without that, start it in this session")
	case err == nil && command == commandOf(self):
		e.note(fine, "links", "this agent opens the links of sign-in pages", "")
	default:
		e.note(fail, "links", fmt.Sprintf("the links of sign-in pages are opened by %.200q, says %s", command, from), "take that away, or install the agent anew")
	}
}

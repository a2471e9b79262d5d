//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

// put writes files under a folder that stands for the system's.
func put(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoctorBrowsers(t *testing.T) {
	named, err := settings.Read(settings.LayerOf(settings.Policy, func(name string) settings.Value {
		return settings.Value{Text: map[string]string{"Issuer": "https://id.example"}[name]}
	}))
	if err != nil {
		t.Fatal(err)
	}
	const launches = `{"AutoLaunchProtocolsFromOrigins":[{"protocol":"lanyard-desk","allowed_origins":["https://id.example"]}]}`
	for _, tt := range []struct {
		rule  string
		files map[string]string
		want  string
	}{
		{"own rule: a computer without a browser is said to be one", nil, "warn  browsers: none was found"},
		{"own rule: a browser without a policy asks people", map[string]string{"usr/bin/chromium": ""}, "warn  browser Chromium: it asks people each time whether https://id.example may open the agent"},
		{"own rule: Chromium's policies are in any file of their folder", map[string]string{"usr/bin/chromium": "", "etc/chromium/policies/managed/x.json": launches}, "ok    browser Chromium: links of https://id.example open without a question"},
		{"own rule: Chrome's policies are its own", map[string]string{"usr/bin/google-chrome": "", "etc/chromium/policies/managed/x.json": launches}, "warn  browser Chrome: "},
		{"own rule: Chrome's policies are read", map[string]string{"usr/bin/google-chrome": "", "etc/opt/chrome/policies/managed/x.json": launches}, "ok    browser Chrome: "},
		{"own rule: Edge's policies are read", map[string]string{"usr/bin/microsoft-edge": "", "etc/opt/edge/policies/managed/x.json": launches}, "ok    browser Edge: "},
		{"own rule: Firefox's policies are read", map[string]string{"usr/bin/firefox-esr": "", "etc/firefox/policies/policies.json": `{"policies":` + launches + `}`}, "ok    browser Firefox: "},
		{"own rule: a file that is no JSON is said to be none", map[string]string{"usr/bin/chromium": "", "etc/chromium/policies/managed/x.json": "{"}, "x.json: it is no plain JSON"},
		{"own rule: a browser that may not open our links fails", map[string]string{"usr/bin/chromium": "", "etc/chromium/policies/managed/x.json": `{"URLBlocklist":["*"]}`}, "FAIL  browser Chromium: its URLBlocklist keeps the links"},
		{"own rule: a browser that may not come back from the agent fails", map[string]string{"usr/bin/chromium": "", "etc/chromium/policies/managed/x.json": `{"URLBlocklist":["*"],"URLAllowlist":["lanyard-desk:*"]}`}, "FAIL  browser Chromium: its URLBlocklist keeps it from coming back"},
		{"own rule: a browser that may do both is good", map[string]string{"usr/bin/chromium": "", "etc/chromium/policies/managed/x.json": `{"URLBlocklist":["*"],"URLAllowlist":["lanyard-desk:*","127.0.0.1"]}`}, "ok    browser Chromium: "},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			e := atNoon()
			e.root = t.TempDir()
			put(t, e.root, tt.files)
			e.browsers(named)
			if got := e.says(t); !strings.Contains(got, tt.want) {
				t.Errorf("it says\n%swant %q", got, tt.want)
			}
		})
	}
}

func TestDoctorOlderProducts(t *testing.T) {
	t.Run("own rule: an older product that runs is named", func(t *testing.T) {
		e := atNoon()
		e.root = t.TempDir()
		put(t, e.root, map[string]string{"proc/7/comm": "NHSD.IdentityAg\n", "proc/8/comm": "bash\n", "proc/9/comm": "NHSD.IdentityAg\n"})
		e.olderProducts(t.Context())
		if got := e.says(t); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "warn  older products: NHSD.IdentityAg is running; ") {
			t.Error(got)
		}
	})
	t.Run("own rule: a port of an older product is named", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		e := atNoon()
		e.ports = []int{port}
		e.root = t.TempDir()
		e.olderProducts(t.Context())
		if got := e.says(t); !strings.Contains(got, "something listens on port "+strconv.Itoa(port)) {
			t.Error(got)
		}
	})
	t.Run("own rule: a desk without older products is said to be one", func(t *testing.T) {
		e := atNoon()
		e.root = t.TempDir()
		e.olderProducts(t.Context())
		if got := e.says(t); !strings.HasPrefix(got, "ok    older products: ") {
			t.Error(got)
		}
	})
}

func TestDoctorDesktop(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	look := func(getenv map[string]string) string {
		e := atNoon()
		e.getenv = func(name string) string { return getenv[name] }
		e.window()
		e.links(t.Context())
		e.session(t.Context())
		return e.says(t)
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule  string
		files map[string]string
		env   map[string]string
		want  string
	}{
		{"own rule: without pinentry nobody is asked for a passcode", nil, nil, "FAIL  passcode window: there is no pinentry"},
		{"own rule: a pinentry for terminals opens no window", map[string]string{"pinentry": "curses"}, nil, "FAIL  passcode window: pinentry-curses opens no window"},
		{"own rule: a pinentry that opens windows counts where the chosen one opens none", map[string]string{"pinentry": "curses", "pinentry-gtk-2": ""}, map[string]string{"DISPLAY": ":0"}, "ok    passcode window: " + bin + "/pinentry-gtk-2 opens it"},
		{"own rule: without a desktop no window opens", map[string]string{"pinentry": ""}, nil, "warn  passcode window: "},
		{"own rule: without xdg-utils nobody knows who opens links", nil, nil, "warn  links: nobody can say"},
		{"own rule: links that nobody opens are said", map[string]string{"xdg-mime": "#!/bin/sh\n"}, nil, "FAIL  links: nobody opens"},
		{"own rule: links that another program opens are said", map[string]string{"xdg-mime": "#!/bin/sh\necho other.desktop\n"}, nil, `FAIL  links: the links of sign-in pages are opened by "other.desktop"`},
		{"own rule: links that the package's entry opens are good", map[string]string{"xdg-mime": "#!/bin/sh\necho lanyard-agent.desktop\n"}, nil, "ok    links: "},
		{"own rule: links that this session's entry opens are good", map[string]string{"xdg-mime": "#!/bin/sh\necho lanyard-agent-session.desktop\n"}, nil, "ok    links: "},
		{"own rule: a folder of the session that is open to others is no place to wait", nil, map[string]string{"XDG_RUNTIME_DIR": open}, "FAIL  session: "},
		{"own rule: a session without an agent is said to be one", nil, map[string]string{"XDG_RUNTIME_DIR": closed}, "warn  session: no agent waits in this session"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if err := os.RemoveAll(bin); err != nil {
				t.Fatal(err)
			}
			put(t, bin, tt.files)
			for name, text := range tt.files {
				if text != "curses" {
					continue
				}
				put(t, bin, map[string]string{"pinentry-curses": ""})
				if err := os.Remove(filepath.Join(bin, name)); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink("pinentry-curses", filepath.Join(bin, name)); err != nil {
					t.Fatal(err)
				}
			}
			if got := look(tt.env); !strings.Contains(got, tt.want) {
				t.Errorf("it says\n%swant %q", got, tt.want)
			}
		})
	}
}

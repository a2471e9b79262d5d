package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const guide = "docs/relying-parties.md"

// block is the first block of a language under a heading of the guide.
func block(t *testing.T, heading, language string) string {
	t.Helper()
	_, section, _ := strings.Cut(text(t, guide), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(section)
	if found == nil {
		t.Fatalf("%s has no %s under %s", guide, language, heading)
	}
	return found[1]
}

// documented is the application in Go that the guide shows, at a service of its
// own. That signs its person in by itself, if they are named.
type documented struct {
	running
	home string
}

func aDocumented(t *testing.T, program, autoLogin string) documented {
	t.Helper()
	port := freePort()
	here := fmt.Sprintf("localhost:%d", port)
	seed := written(t, strings.ReplaceAll(block(t, "The first token", "yaml"), "localhost:3000", here))
	s := start(t, func(o *devOptions) { o.seed, o.autoLogin = seed, autoLogin })
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "ISSUER="+s.issuer, fmt.Sprintf("PORT=%d", port))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	until(t, "the application listens", func() bool { return status(t, "http://"+here+"/callback") != 0 })
	return documented{s, "http://" + here}
}

// builtOfGuide is the program that the guide's words for Go make.
func builtOfGuide(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "ward-list")
	if err := os.WriteFile(program+".go", []byte(block(t, "Go", "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, program+".go")
	build.Dir = root // whose modules it uses
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// shows is what the application says of who is signed in at a browser.
func (d documented) shows(t *testing.T, p *person) map[string]any {
	t.Helper()
	resp, err := p.http.Do(request(t, http.MethodGet, d.home+"/", nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var who map[string]any
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&who); err != nil {
			t.Fatal(err)
		}
	}
	return who
}

func TestDocumentedApplication(t *testing.T) {
	t.Parallel()
	program := builtOfGuide(t)
	t.Run("by itself", func(t *testing.T) { documentedSignsIn(t, aDocumented(t, program, oneRole)) })
	t.Run("by hand", func(t *testing.T) { documentedSignsOut(t, aDocumented(t, program, "")) })
}

func documentedSignsIn(t *testing.T, d documented) {
	t.Helper()
	t.Run("own rule: the application for Go signs people in", func(t *testing.T) {
		p := newPerson(t)
		p.open(d.home + "/")
		if who := d.shows(t, p); p.at.String() != d.home+"/" || who["sub"] != oneRole || who["name"] != "Asha Smith" || who["acr"] != "AAL2_OR_AAL3_ANY" {
			t.Errorf("at %s it shows %v", p.at, who)
		}
		if who := d.shows(t, newPerson(t)); who != nil {
			t.Errorf("to a stranger it shows %v", who)
		}
	})
	t.Run("own rule: an answer that it did not ask for signs nobody in", func(t *testing.T) {
		p := newPerson(t)
		p.open(d.home + "/callback?code=x&state=y&iss=" + d.issuer)
		if p.status != http.StatusBadRequest || d.shows(t, p) != nil {
			t.Errorf("status %d", p.status)
		}
	})
	t.Run("own rule: the application for Go is told of a session that idles out where nobody waits for it", func(t *testing.T) {
		newPerson(t).open(d.home + "/")
		d.advance(t, "16m")
		until(t, "it is told", func() bool {
			p := newPerson(t)
			p.open(d.issuer + "/dev/logouts")
			return strings.Contains(p.text(), "told, 200")
		})
	})
}

func documentedSignsOut(t *testing.T, d documented) {
	t.Helper()
	arrives := func() *person {
		p := newPerson(t)
		p.open(d.home + "/")
		p.signIn(oneRole)
		if who := d.shows(t, p); who["sub"] != oneRole {
			t.Fatalf("it shows %v", who)
		}
		return p
	}
	stays := arrives()
	t.Run("own rule: the application for Go signs people out here and there", func(t *testing.T) {
		p := arrives()
		p.post(d.home+"/logout", nil)
		if p.at.Path != "/login" { // who comes back is nobody, here and there
			t.Errorf("it leads to %s", p.at)
		}
	})
	t.Run("own rule: the application for Go ends what has ended elsewhere, whatever keys signed meanwhile", func(t *testing.T) {
		for range 2 {
			p := arrives()
			d.rotate(t)
			p.open(d.issuer + "/account")
			p.send("/login/change", nil)
			until(t, "the application knows", func() bool { return d.shows(t, p) == nil })
		}
		if who := d.shows(t, stays); who["sub"] != oneRole {
			t.Errorf("to whoever stays signed in it shows %v", who)
		}
	})
	t.Run("own rule: the application for Go believes nothing but a logout token", func(t *testing.T) {
		if a := do(t, request(t, http.MethodPost, d.home+"/backchannel-logout", url.Values{"logout_token": {"x"}}, "")); a.status != http.StatusBadRequest {
			t.Errorf("status %d", a.status)
		}
	})
}

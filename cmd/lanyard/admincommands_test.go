package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is where somebody looks after the registry by commands.
type terminal struct {
	args []string // that stand behind every command's
	env  []string
}

// atTerminal is a terminal with the operator's token of a development service.
func atTerminal(t *testing.T) (running, terminal) {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	s := start(t, func(o *devOptions) { o.state = state })
	return s, terminal{args: []string{"--server", s.issuer, "--state", state}}
}

// run runs a command, whose words have spaces between, and checks what it ends
// with. It returns what it wrote to both of its outputs.
func (at terminal) run(t *testing.T, status int, words ...string) string {
	t.Helper()
	cmd := program(t, nil, append(words, at.args...)...)
	cmd.Env = append(cmd.Env, at.env...)
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("lanyard %s ends with %d, want %d\n%s", strings.Join(words, " "), got, status, out)
	}
	return string(out)
}

// says checks that text holds each of words.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}

func TestAdminCommands(t *testing.T) {
	_, at := atTerminal(t)
	t.Run("own rule: a person is found, shown, added, changed and kept out", func(t *testing.T) {
		says(t, at.run(t, 0, "person", "find", "Smith"), "555000000101", "Dr Asha Smith")
		says(t, at.run(t, 0, "person", "show", fiveRoles), "Calder Royal Hospital", "0000102")
		var p struct{ UID string }
		if err := json.Unmarshal([]byte(at.run(t, 0, "person", "show", fiveRoles, "--json")), &p); err != nil || p.UID != fiveRoles {
			t.Errorf("%+v, %v", p, err)
		}
		says(t, at.run(t, 0, "person", "add", "--given", "Ann", "--family", "Lee", "--profile", "unverified", "--check"), "would be done")
		says(t, at.run(t, 1, "person", "add", "--given", "Ann", "--profile", "unverified"), "RA-05", "name.family: missing", "reference")
		says(t, at.run(t, exitUsage, "person", "restrict", fiveRoles), "--reason is needed")
		says(t, at.run(t, 0, "person", "change", fiveRoles, "--mobile", "+447700900999"), "done")
		says(t, at.run(t, 0, "person", "restrict", fiveRoles, "--reason", "not them"), "done "+fiveRoles)
		says(t, at.run(t, exitNotFound, "person", "show", "555000009999"), "RA-12")
	})
	t.Run("own rule: a card is revoked once", func(t *testing.T) {
		at.run(t, 0, "card", "revoke", card(oneRole), "--reason", "lost")
		says(t, at.run(t, 1, "card", "revoke", card(oneRole), "--reason", "lost"), "RA-23")
		at.run(t, exitNotFound, "card", "revoke", "999999", "--reason", "lost")
	})
	t.Run("own rule: every listing can be had as JSON", func(t *testing.T) {
		for _, words := range []string{"client list", "organisation find --q RX", "request list", "worklist leavers", "policy simulate --date 2030-01-01", "person find a", "person events " + oneRole, "person sessions " + oneRole} {
			var items []map[string]any
			if text := at.run(t, 0, append(strings.Fields(words), "--json")...); json.Unmarshal([]byte(text), &items) != nil {
				t.Errorf("%s: %s", words, text)
			}
		}
		says(t, at.run(t, 0, "worklist", "stopped", "--csv"), "uid,name,")
		at.run(t, exitNotFound, "worklist", "nothing")
	})
	t.Run("own rule: an application is registered, changed and stopped", func(t *testing.T) {
		says(t, at.run(t, 0, "client", "add", "--id", "app", "--name", "App", "--redirect-uri", "https://a.example/cb"), "done app", "shown this once: ")
		says(t, at.run(t, 0, "client", "change", "app", "--name", "Better App"), "done")
		says(t, at.run(t, 0, "client", "show", "app"), "Better App", "https://a.example/cb")
		says(t, at.run(t, 0, "client", "remove", "app", "--reason", "over"), "done")
		at.run(t, exitNotFound, "client", "show", "nothing")
	})
	t.Run("own rule: a reference that nobody has had leads nowhere", func(t *testing.T) {
		says(t, at.run(t, exitNotFound, "reference", "AAAAAAAA"), "API-08")
	})
}

func TestPositionsTable(t *testing.T) {
	_, at := atTerminal(t)
	file := filepath.Join(t.TempDir(), "positions.csv")
	table := func(t *testing.T, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const head = "uid,organisation,role_code,activities\n"
	t.Run("own rule: a table is looked at first, and then made", func(t *testing.T) {
		table(t, "\ufeff"+head+oneRole+",RX9,S8000:G8000:R8001,B0360 B0420\n"+fiveRoles+",RX9,S8000:G8000:R8001,B0360 B0420\n"+noRole+",RX901,S8000:G8000:R8001,\n")
		says(t, at.run(t, 0, "person", "assign", "--csv", file, "--check"), "lines 2 to 3: S8000:G8000:R8001 at RX9 for 2: would be done", "line 4")
		if text := at.run(t, 0, "person", "show", noRole); strings.Contains(text, "RX901") {
			t.Errorf("what was only looked at was made:\n%s", text)
		}
		at.run(t, 0, "person", "assign", "--csv", file)
		says(t, at.run(t, 0, "person", "show", noRole), "RX901")
	})
	t.Run("own rule: where one line is refused none is made", func(t *testing.T) {
		table(t, head+oneRole+",RX902,S8000:G8000:R8002,\n"+closed+",5E1,S8000:G8000:R8002,\n")
		says(t, at.run(t, 1, "person", "assign", "--csv", file), "line 3", "nothing was changed")
		if text := at.run(t, 0, "person", "show", oneRole); strings.Contains(text, "RX902") {
			t.Errorf("the other line was made:\n%s", text)
		}
	})
	t.Run("own rule: what is no table is named with its line", func(t *testing.T) {
		for text, want := range map[string]string{"": "first line", "uid,organisation\n": "role_code is missing", "uid,organisation,role_code,colour\n": "colour", head: "no lines but the first",
			head + "1,2\n": "line 2"} {
			table(t, text)
			says(t, at.run(t, exitUsage, "person", "assign", "--csv", file), want)
		}
		at.run(t, exitUsage, "person", "assign")
	})
}

func TestDocumentCommands(t *testing.T) {
	_, at := atTerminal(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "directory.yaml")
	at.run(t, 0, "config", "export", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: a plan ends with 6 while something differs, and applying it leaves nothing", func(t *testing.T) {
		changed := strings.Replace(string(text), "Riverside Surgery", "Riverside Surgeries", 1)
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		says(t, at.run(t, exitDiffers, "config", "plan", file), `organisation A9A5A name: "Riverside Surgery" becomes "Riverside Surgeries"`)
		at.run(t, 0, "config", "apply", file, "--reason", "its name")
		at.run(t, 0, "config", "plan", file)
	})
	t.Run("own rule: a broken document is named with its lines, and nothing changes", func(t *testing.T) {
		broken := filepath.Join(folder, "broken.yaml")
		if err := os.WriteFile(broken, []byte("organisations:\n  - {code: X1, nane: x}\npeople:\n  - uid: \"1\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		says(t, at.run(t, exitUsage, "config", "apply", broken), "line 2", "line 4", "name")
		at.run(t, 0, "config", "plan", file)
	})
}

func TestLoginCommand(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	s := start(t, nil)
	at := func(token string, args ...string) terminal {
		return terminal{args, []string{"XDG_CONFIG_HOME=" + home, "LANYARD_TOKEN=" + token}}
	}
	find := []string{"person", "find", "smith"}
	t.Run("own rule: who is not signed in is not permitted, and what does not answer cannot be reached", func(t *testing.T) {
		at("").run(t, exitNoRight, find...)
		says(t, at("nonsense", "--server", s.issuer).run(t, exitNoRight, find...), "API-01")
		at("nonsense", "--server", "http://127.0.0.1:1").run(t, exitUnreached, find...)
	})
	t.Run("own rule: a token is sent to nobody in the clear", func(t *testing.T) {
		at("nonsense", "--server", "http://id.example").run(t, exitUsage, find...)
	})
	t.Run("own rule: the token of a sign-in is its owner's alone, works, and is given back", func(t *testing.T) {
		got := signedInAs(t, s, newPerson(t), manager)
		if err := got.keep(); err != nil {
			t.Fatal(err)
		}
		path, err := tokenPath()
		if err != nil {
			t.Fatal(err)
		}
		if is, err := os.Stat(path); err != nil || is.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", is, err)
		}
		says(t, at("").run(t, 0, find...), "Dr Asha Smith")
		says(t, at("").run(t, exitNoRight, "person", "restrict", manager, "--reason", "x"), "RA-03")
		at("", "--server", "http://localhost:1").run(t, exitNoRight, find...) // it is of another service
		at("").run(t, 0, "logout")
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the file is still there: %v", err)
		}
		says(t, at(got.Token, "--server", s.issuer).run(t, exitNoRight, find...), "API-01")
	})
	t.Run("own rule: an answer of another sign-in is taken for none", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		l := signingIn{server: s.issuer, client: asApplication()}
		_, err := l.run(ctx, func(address string) {
			asked, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			back := asked.Query().Get("redirect_uri")
			for _, query := range []string{"?code=x&state=wrong", "?code=x"} {
				resp, err := http.Get(back + query)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s: %d", query, resp.StatusCode)
				}
			}
			cancel()
		})
		if err == nil {
			t.Error("somebody is signed in")
		}
	})
}

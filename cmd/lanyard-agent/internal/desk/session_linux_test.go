package desk

import (
	"os"
	"path/filepath"
	"testing"
)

// aSystem is a system with these files.
func aSystem(t *testing.T, files map[string]string) system {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return system(root)
}

func TestSession(t *testing.T) {
	const user, manager = "/user.slice/user-1000.slice/", "/user.slice/user-1000.slice/user@1000.service/"
	// A person at seat0, by session 2, and over the network, by session 5; and
	// another session of theirs at seat0, begun at its console.
	files := map[string]string{
		"run/systemd/users/1000":   "NAME=asha\nSTATE=active\nDISPLAY=2\n",
		"run/systemd/sessions/2":   "UID=1000\nSEAT=seat0\nREMOTE=0\n",
		"run/systemd/sessions/3":   "UID=1000\nSEAT=seat0\nREMOTE=0\n",
		"run/systemd/sessions/5":   "UID=1000\nREMOTE=1\n",
		"run/systemd/sessions/6":   "UID=1000\nREMOTE=1\n",
		"run/systemd/sessions/7":   "UID=1000\nSEAT=seat1\n",
		"proc/autostarted/cgroup":  "0::" + user + "session-2.scope\n",
		"proc/unit/cgroup":         "0::" + manager + "app.slice/lanyard-agent.service\n",
		"proc/firefox/cgroup":      "0::" + manager + "app.slice/app-gnome-firefox-4711.scope\n",
		"proc/hybrid/cgroup":       "3:cpu:/\n1:name=systemd:" + user + "session-2.scope\n0::" + user + "session-2.scope\n",
		"proc/console/cgroup":      "0::" + user + "session-3.scope\n",
		"proc/remote/cgroup":       "0::" + user + "session-5.scope\n",
		"proc/remote too/cgroup":   "0::" + user + "session-6.scope\n",
		"proc/another seat/cgroup": "0::" + user + "session-7.scope\n",
		"proc/pretender/cgroup":    "0::" + manager + "session-5.scope\n",
		"proc/moved/cgroup":        "0::/machine.slice/session-2.scope\n",
		"proc/another's/cgroup":    "0::/user.slice/user-1001.slice/session-2.scope\n",
		"proc/counted/cgroup":      "0::/\n",
		"proc/counted too/cgroup":  "0::/\n",
		"proc/elsewhere/cgroup":    "0::/\n",
	}
	for name, number := range map[string]string{
		// The manager logs in by itself, and a compositor may do so once more.
		"autostarted": "2", "unit": "9", "firefox": "9", "hybrid": "12", "console": "3", "remote": "5", "remote too": "6", "another seat": "7", "pretender": "9",
		"moved": "2", "another's": "77", "counted": "2", "counted too": "2", "elsewhere": "8",
	} {
		files["proc/"+name+"/sessionid"] = number
	}
	at := func(t *testing.T, s system, pid string) session {
		t.Helper()
		found, err := s.sessionOf(pid, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, tt := range []struct {
		rule string
		a, b string
		same bool
	}{
		{"an agent of the manager's, and a browser that a desktop starts there", "unit", "firefox", true},
		{"an agent of the manager's, and a browser in the session's own scope", "unit", "hybrid", true},
		{"an agent that the desktop started, and a browser of the manager's", "autostarted", "firefox", true},
		{"one scope, although a compositor has logged in anew", "autostarted", "hybrid", true},
		{"two sessions at one seat", "autostarted", "console", true},
		{"the manager, which is at the seat, and a session over the network", "unit", "remote", false},
		{"a session at the seat and one over the network", "autostarted", "remote", false},
		{"two sessions over the network, which have no seat", "remote", "remote too", false},
		{"two seats", "autostarted", "another seat", false},
		{"the manager and another seat", "unit", "another seat", false},
		{"a unit of the manager's with the name of a session", "pretender", "remote", false},
		{"another person's scope is no scope of ours", "another's", "autostarted", false},
		{"without scopes: one number", "counted", "counted too", true},
		{"without scopes: another number", "counted", "elsewhere", false},
		{"a program that was moved out of its scope has its number", "moved", "autostarted", true},
	} {
		t.Run("D3: "+tt.rule, func(t *testing.T) {
			s := aSystem(t, files)
			if a, b := at(t, s, tt.a), at(t, s, tt.b); s.same(a, b) != tt.same || s.same(b, a) != tt.same {
				t.Errorf("%+v and %+v: want them at one desk: %v", a, b, tt.same)
			}
		})
	}
	t.Run("D3: where logind takes no session for a person's desktop, what their manager runs is at each", func(t *testing.T) {
		delete(files, "run/systemd/users/1000")
		s := aSystem(t, files)
		if !s.same(at(t, s, "unit"), at(t, s, "firefox")) || !s.same(at(t, s, "unit"), at(t, s, "autostarted")) {
			t.Error("the manager is nowhere")
		}
	})
}

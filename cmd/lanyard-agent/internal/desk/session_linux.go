package desk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// system is where the kernel and logind say what runs where; another folder in
// tests.
type system string

// session is the login that a process runs in.
type session struct {
	login   string // as logind calls it; "" where there is no logind, or it does not know
	number  string // as the kernel's audit counts logins; "" where it counts none
	managed bool   // it is run by its person's manager of services, for the desktop that they sit at
}

// uncounted is the number of processes that came by no login.
const uncounted = "4294967295"

// ThisSession names the session that this program runs in, as those who come
// from its browsers are told apart by it. It is empty where nobody counts
// sessions.
func ThisSession() string {
	s, err := system("/").sessionOf("self", os.Getuid())
	if err != nil {
		return ""
	}
	if s.login != "" {
		return s.login
	}
	return strings.ReplaceAll(s.number, uncounted, "")
}

// sessionOf says where a process of this person runs. Control groups come before
// numbers: a desktop may well run in its person's manager (user@1000.service),
// which logged in by itself and has a number of its own.
func (s system) sessionOf(pid string, uid int) (session, error) {
	number, err1 := s.read("proc", pid, "sessionid")
	groups, err2 := s.read("proc", pid, "cgroup")
	if err := errors.Join(err1, err2); err != nil {
		return session{}, fmt.Errorf("find the session: %w", err)
	}
	found := session{number: strings.TrimSpace(number)}
	for line := range strings.Lines(groups) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":") // the hierarchy's number
		_, path, _ = strings.Cut(path, ":")                     // what it controls
		inside, ok := strings.CutPrefix(path, fmt.Sprintf("/user.slice/user-%d.slice/", uid))
		if !ok {
			continue
		}
		unit, _, _ := strings.Cut(inside, "/")
		if scope := sessionScope.FindStringSubmatch(unit); scope != nil {
			found.login = scope[1]
		}
		if unit == fmt.Sprintf("user@%d.service", uid) {
			found.login, found.managed = s.said("users", fmt.Sprint(uid), "DISPLAY"), true
		}
	}
	return found, nil
}

// sessionScope is the unit that a session's processes run in.
var sessionScope = regexp.MustCompile(`^session-([A-Za-z0-9]+)\.scope$`)

// same says whether two processes of a person are at one desk: in one session,
// or in two at one seat. What their manager runs is at the desktop that logind
// takes for theirs, and where it knows of none, at each of their desks.
func (s system) same(a, b session) bool {
	if a.login != "" && b.login != "" {
		seat := s.said("sessions", a.login, "SEAT")
		return a.login == b.login || seat != "" && seat == s.said("sessions", b.login, "SEAT")
	}
	return a.number == b.number || a.managed || b.managed
}

// said is what logind's file about a session, or a person, says; "" if nothing.
func (s system) said(of, which, name string) string {
	text, err := s.read("run", "systemd", of, which)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// read reads a small file; one that is not there says nothing.
func (s system) read(path ...string) (string, error) {
	b, err := os.ReadFile(filepath.Join(append([]string{string(s)}, path...)...)) // of the kernel's, or of logind's
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
)

// hand is how long a hand takes to put a card back. pcscd looks twice a second,
// and does not know a card that was changed in between.
const hand = 700 * time.Millisecond

// lifeWorld is a service behind a gate.
type lifeWorld struct {
	service
	gate *gate
	card string // the file of somebody's card
}

func newLifeWorld(t *testing.T) *lifeWorld {
	t.Helper()
	w := &lifeWorld{}
	w.gate, w.issuer = newGate(t, func(issuer string) string {
		l, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			t.Fatal(err)
		}
		at := l.Addr().String()
		_ = l.Close()
		w.service = startService(t, "--listen", at, "--issuer", issuer)
		return "http://" + at
	})
	w.card = string(w.cardFile(t, uid))
	return w
}

// place is a desk with a card reader of its own, for one attempt after another.
type place struct {
	w      *lifeWorld
	t      *testing.T // lives as long as the desk
	reader *virtualreader.Reader
}

func (w *lifeWorld) newPlace(t *testing.T) *place {
	t.Helper()
	return &place{w: w, t: t, reader: virtualreader.Start(t)}
}

// attempt is one sign-in at a desk.
type attempt struct {
	*place
	t       *testing.T
	folder  string
	env     []string
	person  *person
	card    *virtualcard.Card
	takeOut func() // nil where no card is in the reader
	pulled  bool   // one was

	agent   *agentProcess
	browser *browser
	line    *line
	waiting string      // the page that waits
	asked   *openWindow // for the passcode
}

// begin starts an agent at the desk, and a sign-in in a browser.
func (p *place) begin(t *testing.T) *attempt {
	t.Helper()
	folder, err := os.MkdirTemp("", "desk") // a test's own folder may have too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	bin := filepath.Join(folder, "bin")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"pinentry": "exec '" + self + "'", "xdg-mime": "exit 0"} {
		if err := errors.Join(os.MkdirAll(bin, 0o700), os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(p.w.card)
	if err != nil {
		t.Fatal(err)
	}
	a := &attempt{place: p, t: t, folder: folder, person: newPerson(t, folder)}
	if a.card, err = virtualcard.Read(raw, func([]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	a.env = append(os.Environ(), "HOME="+folder, "XDG_RUNTIME_DIR="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder, "XDG_STATE_HOME="+folder,
		"PATH="+bin+":"+os.Getenv("PATH"), "DISPLAY=:0", "LC_ALL=C", "PCSCLITE_CSOCK_NAME="+p.reader.Socket, windowSocket+"="+a.person.socket)
	a.agent = a.starts()
	a.agent.ready(t)
	a.browser = newBrowser(t)
	link, waiting := a.browser.begins(p.w.service)
	a.line, a.waiting = p.w.gate.watch(link.Handle), waiting
	return a
}

// agentProcess is an agent that stays in the session of a desk.
type agentProcess struct {
	cmd   *exec.Cmd
	said  strings.Builder
	path  string
	ended chan struct{}
}

// starts starts an agent.
func (a *attempt) starts() *agentProcess {
	a.t.Helper()
	p := &agentProcess{cmd: exec.Command(filepath.Join(programs(a.t), "lanyard-agent"), "--issuer", a.w.issuer, "--origin", a.w.issuer),
		path: socketOf(a.t, a.env), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr, p.cmd.Stdout = a.env, &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	a.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if a.t.Failed() {
			a.t.Logf("the agent said: %s", p.said.String())
		}
	})
	return p
}

// ready waits until the agent has the place of its session.
func (p *agentProcess) ready(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(soon()); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if occupied(t.Context(), p.path) {
			return
		}
	}
	t.Fatal("the agent is not ready")
}

// ends waits until the agent has ended, and returns its status.
func (p *agentProcess) ends(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(soon()):
		t.Fatal("the agent does not end")
		return 0
	}
}

func (p *agentProcess) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// opens opens a link as a browser does.
func (a *attempt) opens(link string) {
	a.t.Helper()
	cmd := exec.Command(a.agent.cmd.Path, "open", link, "--issuer", a.w.issuer, "--origin", a.w.issuer)
	cmd.Env = a.env
	if out, err := cmd.CombinedOutput(); err != nil {
		a.t.Fatalf("open: %v\n%s", err, out)
	}
}

func (a *attempt) insert() {
	a.t.Helper()
	if a.pulled {
		time.Sleep(hand)
	}
	a.takeOut, a.pulled = a.reader.Insert(a.t, 0, a.card), false
}

func (a *attempt) pull() {
	a.takeOut()
	a.takeOut, a.pulled = nil, true
}

// window waits for the next window of a kind.
func (a *attempt) window(kind string) *openWindow {
	a.t.Helper()
	late := time.After(soon())
	for {
		select {
		case w := <-a.person.windows:
			if w.Kind == kind {
				return w
			}
		case <-late:
			a.t.Fatalf("no window for %s", kind)
		}
	}
}

// bring brings the sign-in to a step.
func (a *attempt) bring(s step) {
	a.t.Helper()
	if s.card {
		a.insert()
	}
	if s.holds != "" {
		a.line.hold(s.holds)
	}
	a.opens(a.browser.link)
	if s.until == "" || s.types {
		a.asked = a.window("passcode")
		if !strings.Contains(a.asked.Text, "Card of "+uid) {
			a.t.Errorf("the window says %s", a.asked.Text)
		}
	}
	if s.types {
		a.asked.types(passcode)
	}
	if s.until != "" {
		select {
		case <-a.line.at(s.until):
		case <-time.After(soon()):
			a.t.Fatalf("it does not come to %q", s.until)
		}
	}
}

// tells waits until the page that waits says why, soon.
func (a *attempt) tells(code string) {
	a.t.Helper()
	began := time.Now()
	for time.Since(began) < soon() {
		if a.browser.open(a.waiting); strings.Contains(a.browser.page, code) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	a.t.Fatalf("the page does not say %s within %v: %s", code, soon(), a.browser.page)
}

// says waits until a window says why, soon.
func (a *attempt) says(words string) {
	a.t.Helper()
	for w := a.window("words"); !strings.Contains(w.Text, words); w = a.window("words") {
		a.t.Logf("a window says %q", w.Text)
	}
}

// goesOn takes the sign-in to its end, from wherever it is.
func (a *attempt) goesOn() {
	a.t.Helper()
	a.line.release()
	if a.takeOut == nil {
		a.insert()
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case w := <-a.person.windows:
				if w.Kind == "passcode" {
					w.types(passcode)
				}
			case <-over:
				return
			}
		}
	}()
	if a.asked != nil {
		a.asked.types(passcode) // nobody looks where it was typed already
	}
	a.browser.returns(a.waiting)
	if !strings.Contains(a.browser.page, holder) {
		a.t.Errorf("nobody was signed in: %s", a.browser.page)
	}
}

// signedIn says whether the browser is.
func (a *attempt) signedIn() bool {
	a.browser.open(a.w.issuer + "/account")
	return a.browser.at.Path == "/account"
}

// leavesNothing looks for what a sign-in could leave behind: a window that asks
// for a passcode, and a card that has seen it.
func (a *attempt) leavesNothing() {
	a.t.Helper()
	if a.asked != nil {
		select {
		case <-a.asked.closed:
		case <-time.After(soon()):
			a.t.Error("a window still asks for the passcode")
		}
	}
	for deadline := time.Now().Add(soon()); a.reader.Heard(0).Trusts; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.t.Error("the card was not reset: who asks it next can sign")
			return
		}
	}
}

// next signs in again at the same desk, in another browser.
func (a *attempt) next() {
	a.t.Helper()
	if !occupied(a.t.Context(), a.agent.path) {
		a.agent = a.starts()
		a.agent.ready(a.t)
	}
	a.browser = newBrowser(a.t)
	link, waiting := a.browser.begins(a.w.service)
	a.line, a.waiting, a.asked = a.w.gate.watch(link.Handle), waiting, nil
	a.opens(a.browser.link)
	a.goesOn()
	if a.takeOut != nil {
		a.pull()
	}
	a.agent.signal(a.t, syscall.SIGTERM)
	if status := a.agent.ends(a.t); status != 0 {
		a.t.Errorf("the agent ended with %d", status)
	}
}

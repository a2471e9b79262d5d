package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/gateway"
)

// bridged is an agent at a desk whose settings name the service's bridge, and
// what it asked for there.
type bridged struct {
	desk.Agent
	p *typist

	mu    sync.Mutex
	calls []string // of the bridge, by path
	hangs bool     // it takes calls, and answers none
}

// RoundTrip implements http.RoundTripper.
func (b *bridged) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.calls = append(b.calls, r.URL.Path)
	hangs := b.hangs
	b.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// called is how often the agent called a path of the bridge.
func (b *bridged) called(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.calls {
		if c == path {
			n++
		}
	}
	return n
}

// bridgedAgent is one with somebody's card, at a desktop session of its own.
func (s service) bridgedAgent(t *testing.T, uid string) *bridged {
	t.Helper()
	b := &bridged{p: &typist{passcodes: []string{passcode, passcode, passcode}}}
	b.Agent = s.agent(s.cardFile(t, uid), b.p)
	b.Services[0].Bridge = s.issuer
	b.waits(t, s, 10*time.Second) // another test may have the machine
	return b
}

// waits has a sign-in there wait for the bridge for so long.
func (b *bridged) waits(t *testing.T, s service, patience time.Duration) {
	t.Helper()
	g := gateway.New(gateway.Config{Base: s.issuer, HTTP: &http.Client{Transport: b}, Version: version, Now: time.Now, Patience: patience})
	t.Cleanup(func() { g.Close(context.WithoutCancel(t.Context())) })
	b.Gateway = g
}

// signsIn signs in at a new browser of that desk, and waits until the agent is
// done.
func (b *bridged) signsIn(t *testing.T, s service) *browser {
	t.Helper()
	browser := newBrowser(t)
	link, waiting := browser.begins(s)
	ended := s.signsUp(t, b.Agent, link)
	browser.returns(waiting)
	if err := <-ended; err != nil {
		t.Fatalf("SignIn() = %v", err)
	}
	if browser.at.Path != "/account" {
		t.Fatalf("at %s: %s", browser.at, browser.page)
	}
	return browser
}

// holds waits until the agent holds a session of the old service.
func (b *bridged) holds(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !b.Gateway.Holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no session of the old service after %v", b.calls)
		}
	}
}

func TestBridge(t *testing.T) {
	s := startService(t, "--bridge")
	t.Run("own rule: one card sign-in serves both worlds: the next browser of this desk is let in without card and passcode", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.signsIn(t, s)
		b.holds(t)
		if b.signsIn(t, s); len(b.p.asked) != 1 {
			t.Errorf("the passcode was asked for %d times", len(b.p.asked))
		}
		if n := b.called("/login/deskproof"); n != 1 {
			t.Errorf("%d proofs", n)
		}
	})
	t.Run("own rule: after sign-out the card is asked for, and what was entered by that session is over", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		own := b.signsIn(t, s)
		b.holds(t)
		entered := b.signsIn(t, s)
		if err := b.Gateway.End(t.Context()); err != nil {
			t.Fatal(err)
		}
		if entered.in(s) {
			t.Error("the second browser is still signed in")
		}
		if !own.in(s) {
			t.Error("the first, at which the card was shown, is not signed in any more")
		}
		if b.signsIn(t, s); len(b.p.asked) != 2 {
			t.Errorf("the passcode was asked for %d times", len(b.p.asked))
		}
	})
	t.Run("own rule: a session that ended elsewhere lets nobody in: the card is asked for", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.signsIn(t, s)
		b.holds(t)
		entered := b.signsIn(t, s)
		entered.open(s.issuer + "/sign-out")
		entered.post(s.issuer+"/sign-out", url.Values{})
		if b.signsIn(t, s); len(b.p.asked) != 2 {
			t.Errorf("the passcode was asked for %d times", len(b.p.asked))
		}
	})
	t.Run("P19: who signs out of a browser that their card signed in to leaves nothing at the desk: the next one is asked for the passcode", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		own := b.signsIn(t, s)
		b.holds(t)
		entered := b.signsIn(t, s)
		own.open(s.issuer + "/sign-out")
		own.post(s.issuer+"/sign-out", url.Values{})
		if own.in(s) || entered.in(s) {
			t.Error("somebody is still signed in")
		}
		if b.signsIn(t, s); len(b.p.asked) != 2 {
			t.Errorf("the passcode was asked for %d times", len(b.p.asked))
		}
	})
	t.Run("D3: another person's desktop has nothing of the session: their agent asks for a card, and they get no completion code of this one's", func(t *testing.T) {
		mine := s.bridgedAgent(t, uid)
		mine.signsIn(t, s)
		mine.holds(t)
		theirs := s.bridgedAgent(t, uid)
		theirs.p.passcodes = nil // they have no passcode to type
		b := newBrowser(t)
		link, _ := b.begins(s)
		if err := theirs.SignIn(t.Context(), link); err == nil || len(theirs.p.asked) == 0 || theirs.called("/login/deskproof") != 0 || b.in(s) {
			t.Errorf("SignIn() = %v after %v", err, theirs.calls)
		}
		link, waiting := b.begins(s) // and led to this person's agent
		stranger := mine.Agent
		stranger.Peer = func(net.Addr, net.Addr) error { return errors.New("a stranger") }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- stranger.SignIn(ctx, link) }()
		b.returns(waiting)
		if strings.Contains(b.page, holder) || b.in(s) {
			t.Error("a stranger was signed in")
		}
		stop()
		<-ended
	})
	t.Run("X10: who leads this desk's agent to a question of theirs is not signed in by its session", func(t *testing.T) {
		mine := s.bridgedAgent(t, uid)
		mine.signsIn(t, s)
		mine.holds(t)
		attacker, victim := newBrowser(t), newBrowser(t)
		link, waiting := attacker.begins(s)
		ended := s.signsUp(t, mine.Agent, link)
		bounce, tx := attacker.leadsBack(waiting)
		victim.posted(bounce, url.Values{"tx": {tx}})
		if !strings.Contains(victim.page, "SES-02") || attacker.in(s) || victim.in(s) {
			t.Errorf("the victim reads %s", victim.page)
		}
		<-ended
	})
	t.Run("own rule: the session ends when its card is taken out, and with the agent", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.signsIn(t, s)
		b.holds(t)
		entered := b.signsIn(t, s)
		b.Gateway.Close(t.Context())
		if b.Gateway.Holds() || b.called("/login/authlogout") == 0 || entered.in(s) {
			t.Errorf("it goes on, after %v", b.calls)
		}
	})
	t.Run("own rule: a bridge that does not answer, or talks nonsense, keeps nobody out", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		nonsense := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<gpOBJECT><gpPARAM name=\"challenge\">QUJD</gpPARAM></gpOBJECT>"))
		}))
		defer nonsense.Close()
		for _, base := range []string{"http://127.0.0.1:1", nonsense.URL} {
			b.Gateway = gateway.New(gateway.Config{Base: base, HTTP: http.DefaultClient, Version: version, Now: time.Now})
			b.signsIn(t, s)
			if b.Gateway.Holds() {
				t.Error("a session is held")
			}
		}
	})
	t.Run("own rule: a bridge that takes calls and answers none keeps nobody out: they sign in by card, and it is let alone for a while", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.waits(t, s, 4*time.Second) // and its person with it
		b.signsIn(t, s)
		b.holds(t)
		b.mu.Lock()
		b.hangs = true
		b.mu.Unlock()
		for i := range 2 {
			if b.signsIn(t, s); len(b.p.asked) != 2+i {
				t.Errorf("the passcode was asked for %d times", len(b.p.asked))
			}
		}
		if b.called("/login/deskproof") != 1 || b.called("/login/authactivate") != 1 {
			t.Errorf("it called %v", b.calls)
		}
		if err := b.Gateway.End(t.Context()); err == nil {
			t.Error("End() says that the bridge ended it")
		}
	})
	t.Run("own rule: another person's card ends what is held by being shown, though they do not sign in", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.signsIn(t, s)
		b.holds(t)
		entered := b.signsIn(t, s)
		other := b.Agent
		other.Services = []desk.Service{b.Services[0]}
		other.Services[0].Bridge, other.Cards, other.Prompt = "", s.cardFile(t, "555000000102"), &typist{}
		link, _ := newBrowser(t).begins(s)
		if err := other.SignIn(t.Context(), link); err == nil {
			t.Error("they signed in")
		}
		for deadline := time.Now().Add(10 * time.Second); entered.in(s); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the first is still signed in, after %v", b.calls)
			}
		}
		if b.Gateway.Holds() || b.called("/login/authlogout") != 1 {
			t.Errorf("it holds %t, after %v", b.Gateway.Holds(), b.calls)
		}
	})
	t.Run("own rule: with another person's card at the desk nobody is let in by what is held: they are asked, and are who the card says", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.signsIn(t, s)
		b.holds(t)
		other, err := os.ReadFile(string(s.cardFile(t, "555000000102")))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(string(b.Cards.(card.File)), other, 0o600); err != nil { // in the place of the first
			t.Fatal(err)
		}
		br := b.signsIn(t, s)
		if len(b.p.asked) != 2 || strings.Contains(br.page, holder) || b.called("/login/deskproof") != 0 {
			t.Errorf("the passcode was asked for %d times, after %v: %s", len(b.p.asked), b.calls, br.page)
		}
	})
	t.Run("own rule: who is let in without being asked for anything is told to what and as whom, and who was asked is not", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		d := desk.At(b.Agent)
		for _, want := range []string{"", "Signed in to "} {
			browser := newBrowser(t)
			link, waiting := browser.begins(s)
			ended, before := make(chan error, 1), len(b.p.told)
			go func() { ended <- d.Open(context.WithoutCancel(t.Context()), link) }()
			browser.returns(waiting)
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			said := strings.Join(b.p.told[before:], "")
			if !strings.HasPrefix(said, want) || (said == "") != (want == "") || said != "" && !strings.Contains(said, " as "+uid) {
				t.Errorf("it says %q", said)
			}
			b.holds(t)
		}
	})
	t.Run("own rule: who asks for the status hears since when a session of the old service is held, in both languages, and nothing that opens it", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.waits(t, s, 4*time.Second) // and its person with it
		standing := newStanding(b.Services, b.Gateway, time.Now)
		says := func(en, cy string) {
			t.Helper()
			for language, want := range map[string]string{"en": en, "cy": cy} {
				if got := standing.report().text(language); !strings.Contains(got, want) {
					t.Errorf("it says %q, want %q", got, want)
				}
			}
		}
		says("Old service (CIS1): not signed in.", "Yr hen wasanaeth (CIS1): heb fewngofnodi.")
		began := time.Now()
		b.signsIn(t, s)
		b.holds(t)
		r := standing.report()
		at := r.OldService.Since
		if at.Before(began) || at.After(time.Now()) {
			t.Errorf("since %v, which began at %v", at, began)
		}
		says("Old service (CIS1): signed in since "+at.Local().Format("15:04"), "Yr hen wasanaeth (CIS1): wedi mewngofnodi ers "+at.Local().Format("15:04"))
		if line := standing.line(); strings.Contains(line, "AQIC") || strings.Contains(line, uid) || !strings.Contains(line, `"old_service":{"since":`) {
			t.Errorf("the socket says %s", line)
		}
		b.mu.Lock()
		b.hangs = true
		b.mu.Unlock()
		b.signsIn(t, s)
		says("Old service (CIS1): it does not answer.", "Yr hen wasanaeth (CIS1): nid yw'n ateb.")
		b.mu.Lock()
		b.hangs = false
		b.mu.Unlock()
		if newStanding(b.Services, nil, time.Now).report().OldService != nil {
			t.Error("an agent without a bridge speaks of one")
		}
	})
	t.Run("own rule: the doctor finds the bridge of a service that has one, and misses that of one that has none", func(t *testing.T) {
		without := startService(t)
		for base, want := range map[string]string{s.issuer: "ok    bridge: ", without.issuer: "warn  bridge: the bridge is not there for this desk"} {
			e := &examination{now: time.Now}
			e.bridge(t.Context(), desk.Service{Alias: "here", Bridge: base})
			if got := e.says(t); !strings.HasPrefix(got, want) {
				t.Errorf("of %s it says %s", base, got)
			}
		}
		other := strings.Replace(s.issuer, "localhost", "127.0.0.1", 1) // the same bridge by another name
		found, err := gateway.Try(t.Context(), http.DefaultClient, other)
		if err != nil || found.Address != s.issuer || !found.Opens(s.issuer) || other != s.issuer && found.Opens(other) {
			t.Errorf("of %s Try() = %+v, %v", other, found, err)
		}
	})
	t.Run("own rule: without the setting the agent calls no bridge", func(t *testing.T) {
		b := s.bridgedAgent(t, uid)
		b.Services[0].Bridge = ""
		b.signsIn(t, s)
		if len(b.calls) != 0 {
			t.Errorf("it called %v", b.calls)
		}
	})
}

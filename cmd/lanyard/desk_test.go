package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/idp"
)

func TestDesk(t *testing.T) {
	s := startDesk(t)
	t.Run("desk-auth/1: a card at a desk signs a person in, without scripts and without a page of development", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		if text := p.text(); strings.Contains(text, "Virtual") || strings.Contains(text, "Development") {
			t.Errorf("the page says %s", text)
		}
		p.send("/login/smartcard/begin", nil)
		p.wantPage(http.StatusOK, "Ward list")
		link := p.starts()
		if len(link) != 2 || len(link.Get("h")) != 43 || link.Get("i") != host(t, s.running) {
			t.Errorf("the link holds %v, want a handle and our name alone", link)
		}
		a := s.agent()
		a.redeem(link.Get("h"))
		p.wantPage(http.StatusOK, a.question.DisplayCode)
		if q := a.question; q.Issuer != s.issuer || q.Origin != s.issuer || q.ClientID != "basic" || q.ClientName != "Ward list" ||
			q.DoneURL != s.issuer+"/desk/v1/done" || q.PINTimer != 300 || q.Act != challenge.Login || len(q.Algs) == 0 {
			t.Errorf("the question is %+v", q)
		}
		for _, state := range []string{"no_reader", "wait_card", "card_in", "pin_prompt", "pin_wrong 2", "card_removed", "signing"} {
			a.report(state)
		}
		a.respond(a.answer(nil)).wantOK(t)
		p.again()
		p.wantPage(http.StatusOK, "Your card has been checked")
		u, err := url.Parse(s.issuer)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`["` + s.issuer + `"]`, `{"SkipDomains": ["` + u.Hostname() + `"]}`} { // a domain, as Firefox wants it
			p.wantPage(http.StatusOK, want)
		}
		if policy, referrer := p.header.Get("Content-Security-Policy"), p.header.Get("Referrer-Policy"); referrer != "origin" || !strings.Contains(policy, "form-action 'self' https: http://127.0.0.1:") {
			t.Errorf("the page that goes to the agent has %s and %s", policy, referrer)
		}
		p.send("http://127.0.0.1:"+strconv.Itoa(a.port)+"/v1/done", nil)
		claims := payload(t, s.redeem(t, "basic", p.wantCode(), nil))
		if amr, _ := claims["amr"].([]any); claims["sub"] != oneRole || !slices.Equal(amr, []any{"CIS2_SMARTCARD"}) || claims["acr"] != "AAL3_ANY" {
			t.Errorf("the ID token says %v", claims)
		}
	})
	t.Run("desk-auth/1: a handle that comes twice is gone", func(t *testing.T) {
		_, handle := s.asked()
		s.agent().redeem(handle)
		if got := s.agent().post("/desk/v1/redeem", s.agent().redemption(handle)); got.status != http.StatusGone || got.body["error"] != "handle_gone" || len(got.body) != 1 {
			t.Errorf("the second time: %d, %v", got.status, got.body)
		}
	})
	t.Run("desk-auth/1: a completion code works once", func(t *testing.T) {
		p, a := s.signed()
		p.open(a.doneURL())
		p.wantCode()
		p.open(a.doneURL())
		p.wantPage(http.StatusBadRequest, "SES-01")
		other := newPerson(t)
		other.open(a.doneURL())
		other.wantPage(http.StatusBadRequest, "SES-01")
	})
	t.Run("desk-auth/1: a wrong completion code ends the sign-in, and the journal says so", func(t *testing.T) {
		p, a := s.signed()
		right := a.cc
		a.cc = digest()
		p.open(a.doneURL())
		p.wantPage(http.StatusBadRequest, "SES-03")
		if e := s.lastEvent(); e.Kind != idp.SignInNo || e.Client != "basic" || !strings.Contains(e.Reason, "does not fit") {
			t.Errorf("the journal says %+v", e)
		}
		if strings.Contains(p.html(), a.cc) || p.header.Get("Referrer-Policy") != "no-referrer" {
			t.Error("the page repeats the code, or would tell it on")
		}
		a.cc = right
		p.open(a.doneURL())
		p.wantPage(http.StatusBadRequest, "SES-01")
	})
	for name, there := range map[string]func(*person){
		"without its cookie":        func(*person) {},
		"with a login of their own": func(p *person) { p.open(s.authorizeURL("basic", nil)) },
		"with a guess at its cookie": func(p *person) {
			victim, _ := s.asked()
			at, _ := url.Parse(s.issuer)
			for _, c := range victim.cookies(s.running, "lanyard-login-") {
				p.http.Jar.SetCookies(at, []*http.Cookie{{Name: c.Name, Value: "guess", Path: "/"}})
			}
		},
	} {
		t.Run("X10: an answer that comes in another browser, "+name+", signs nobody in, ends the sign-in and is in the journal", func(t *testing.T) {
			p, a := s.signed()
			other := newPerson(t)
			there(other)
			other.open(a.doneURL())
			other.wantPage(http.StatusBadRequest, "SES-02")
			if got := other.cookies(s.running, "lanyard-session"); len(got) != 0 {
				t.Error("the other browser has a session")
			}
			if e := s.lastEvent(); e.Kind != idp.SignInNo || e.Client != "basic" || e.Request == "" || !strings.Contains(e.Reason, "another browser") {
				t.Errorf("the journal says %+v", e)
			}
			p.open(a.doneURL())
			p.wantPage(http.StatusBadRequest, "SES-01")
		})
	}
	t.Run("own rule: neither handle nor completion code is in the log", func(t *testing.T) {
		p, handle := s.asked()
		a := s.agent()
		a.redeem(handle)
		a.respond(a.answer(nil)).wantOK(t)
		p.open(a.doneURL())
		p.wantCode()
		b, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		if log := string(b); strings.Contains(log, handle) || strings.Contains(log, a.cc) || !strings.Contains(log, "desk redeemed") {
			t.Error("a secret is in the log, or the log is empty")
		}
	})
}

func TestDeskTimes(t *testing.T) {
	s := startDesk(t)
	t.Run("desk-auth/1: a handle lives a minute", func(t *testing.T) {
		_, handle := s.asked()
		s.pass(time.Minute)
		a := s.agent()
		if got := a.post("/desk/v1/redeem", a.redemption(handle)); got.status != http.StatusGone {
			t.Errorf("after a minute: %d", got.status)
		}
	})
	t.Run("desk-auth/1: a question lives five minutes", func(t *testing.T) {
		p, a := s.redeemed()
		s.pass(300 * time.Second)
		if got := a.respond(a.answer(nil)); got.status != http.StatusUnauthorized || a.cc != "" {
			t.Errorf("after five minutes: %d, %v", got.status, got.body)
		}
		if got := p.news(s, a.question.Transaction); got["event"] != "over" {
			t.Errorf("the page hears %v", got)
		}
		p.again()
		p.wantPage(http.StatusBadRequest, "open too long")
	})
	t.Run("desk-auth/1: a completion code lives a minute", func(t *testing.T) {
		p, a := s.signed()
		s.pass(time.Minute)
		p.open(a.doneURL())
		p.wantPage(http.StatusBadRequest, "SES-01")
	})
}

func TestDeskRefusals(t *testing.T) {
	s := startDesk(t)
	for _, tt := range []struct {
		rule, of    string
		ends        time.Duration
		code, words string
	}{
		{"X2: a certificate that has ended", oneRole, -time.Hour, "CRT-01", "Your card's certificate ended on "},
		{"smartcard: a card that is blocked", "555000000108", year, "PAS-03", "Your card is locked."},
		{"smartcard: a card that is revoked", "555000000109", year, "CRT-03", "This card has been cancelled."},
		{"smartcard: a card of a blocked series", "555000000110", year, "CRD-07", "Cards of this type stopped working on 31 March 2026."},
		{"smartcard: a card that is suspended", "555000000112", year, "CRD-06", "This card is suspended."},
		{"X6: a card that is not registered", unknown, year, "CRT-04", "This card is not linked to a profile."},
	} {
		t.Run(tt.rule+", at a desk", func(t *testing.T) {
			p, handle := s.asked()
			a := newDeskAgent(t, s.issuer, s.card(card(tt.of), tt.ends), s.clock.Now)
			a.redeem(handle)
			got := a.respond(a.answer(nil))
			detail, _ := got.body["detail"].(string)
			if got.status != http.StatusForbidden || got.header.Get("Content-Type") != "application/problem+json" || got.body["code"] != tt.code ||
				!strings.Contains(detail, tt.words) || got.body["request_id"] != got.header.Get("X-Request-Id") || a.cc != "" {
				t.Errorf("the agent is told %d, %v", got.status, got.body)
			}
			if e := s.lastEvent(); e.Kind != idp.SignInNo || e.Client != "basic" || e.Request != got.body["request_id"] {
				t.Errorf("the journal says %+v", e)
			} else if known := tt.of != unknown; known != (e.Subject == tt.of && e.Authenticator == "card:0"+tt.of[9:]) || !known && e.Subject+e.Authenticator != "" {
				t.Errorf("the journal names %q, %q", e.Subject, e.Authenticator)
			}
			if news := p.news(s, a.question.Transaction); news["event"] != "refused" || news["code"] != tt.code {
				t.Errorf("the page hears %v", news)
			}
			p.again()
			p.wantPage(http.StatusForbidden, tt.words)
			if read := idp.Reference(fmt.Sprint(got.body["request_id"])); !strings.Contains(p.text(), read) {
				t.Errorf("what the person reads out leads nowhere: %s is not on the page:\n%s", read, p.text())
			}
			if p.message() != tt.code {
				t.Errorf("the page says %s", p.message())
			}
			p.send("/login/smartcard/begin", nil) // and another card may be tried
			p.wantPage(http.StatusOK, "Open the card reader program")
		})
	}
	t.Run("X10: a signature of something else is refused, uses the question up and is in the journal", func(t *testing.T) {
		p, a := s.redeemed()
		before := len(s.events())
		if got := a.respond(a.answer(func(p *challenge.Payload) { p.ClientID = "demo-rp" })); got.status != http.StatusBadRequest || got.body["code"] != "SES-03" {
			t.Errorf("another client: %d, %v", got.status, got.body)
		}
		if n := len(s.events()) - before; n != 1 {
			t.Errorf("%d rows in the journal, want 1", n)
		}
		if got := a.respond(a.answer(nil)); got.status != http.StatusUnauthorized {
			t.Errorf("a second answer: %d, %v", got.status, got.body)
		}
		p.again()
		p.wantPage(http.StatusForbidden, "did not accept what came back")
	})
	t.Run("own rule: an agent is told in the language of its page", func(t *testing.T) {
		p := newPerson(t)
		p.accept = "cy"
		p.open(s.authorizeURL("basic", nil))
		p.send("/login/smartcard/begin", nil)
		handle := p.starts().Get("h")
		a := newDeskAgent(t, s.issuer, s.card(card(unknown), year), s.clock.Now)
		a.redeem(handle)
		a.extra = http.Header{"Accept-Language": {"en"}, "Cookie": {"lanyard-language=en"}}
		if a.question.Language != "cy" || a.question.Mode != challenge.Connect {
			t.Errorf("the question is in %q, for mode %q", a.question.Language, a.question.Mode)
		}
		told := a.post("/desk/v1/progress", map[string]any{"state": "no_reader"}, a.prove("/desk/v1/progress", nil))
		if told.body["code"] != "RDR-01" || !strings.HasPrefix(told.body["text"].(string), "Nid oes darllenydd cardiau wedi'i gysylltu. ") {
			t.Errorf("of no reader the agent is told %v", told.body)
		}
		if got := a.respond(a.answer(nil)); got.body["title"] != "Nid ydym yn adnabod y cerdyn hwn" || got.header.Get("Content-Language") != "cy" {
			t.Errorf("the agent is told %v", got.body)
		}
	})
}

func TestDeskNews(t *testing.T) {
	s := startDesk(t)
	t.Run("desk-auth/1: the page that waits hears each step in its order, and nothing after the end", func(t *testing.T) {
		p, handle := s.asked()
		a := s.agent()
		events := p.listen(s, txOf(p))
		want := func(event string, members map[string]any) {
			t.Helper()
			got, ok := <-events
			if !ok || got["event"] != event {
				t.Fatalf("the page hears %v, want %s", got, event)
			}
			for name, value := range members {
				if got[name] != value {
					t.Errorf("%s: %s is %v, want %v", event, name, got[name], value)
				}
			}
		}
		want("waiting", nil)
		a.redeem(handle)
		want("agent", map[string]any{"port": float64(a.port)})
		if again := <-events; again["event"] != "agent" || again["text"] == nil {
			t.Errorf("the page hears %v", again)
		}
		a.report("pin_wrong 2")
		want("progress", map[string]any{"state": "pin_wrong", "left": 2.0, "code": "PAS-01", "port": float64(a.port)})
		a.respond(a.answer(nil)).wantOK(t)
		want("signed", map[string]any{"port": float64(a.port), "ended": true})
		if more, ok := <-events; ok {
			t.Errorf("after the end the page hears %v", more)
		}
	})
	t.Run("X10: only the browser that began hears of its desk", func(t *testing.T) {
		p, _ := s.asked()
		tx := txOf(p)
		if got := p.news(s, tx); got["event"] != "waiting" {
			t.Errorf("its own browser hears %v", got)
		}
		for _, accept := range []string{"application/json", "text/event-stream"} {
			req := request(t, http.MethodGet, s.issuer+"/desk/v1/events?tx="+tx, nil, "")
			req.Header.Set("Accept", accept)
			if got := do(t, req); got.status != http.StatusBadRequest || got.body["event"] != nil {
				t.Errorf("another browser hears %d, %v", got.status, got.body)
			}
		}
		other := newPerson(t)
		other.open(s.authorizeURL("basic", nil))
		other.open(s.issuer + "/login/smartcard?id=" + other.at.Query().Get("id") + "&tx=" + tx)
		other.wantPage(http.StatusBadRequest, "SES-02")
	})
	t.Run("own rule: a page of another login of the same browser learns nothing", func(t *testing.T) {
		p, _ := s.asked()
		tx := txOf(p)
		p.open(s.authorizeURL("basic", nil))
		p.open(s.issuer + "/login/smartcard?id=" + p.at.Query().Get("id") + "&tx=" + tx)
		p.wantPage(http.StatusBadRequest, "open too long")
	})
	for state, want := range map[string]string{"pin_blocked": "PAS-03", "cancelled": "CAN-01", "timeout": "SES-01", "pin_wrong 0": "PAS-03"} {
		t.Run("own rule: after "+state+" the page offers another try", func(t *testing.T) {
			p, a := s.redeemed()
			a.report(state)
			if got := p.news(s, a.question.Transaction); got["ended"] != true || got["code"] != want {
				t.Errorf("the page hears %v", got)
			}
			p.again()
			if p.message() != want {
				t.Errorf("the page says %s, want %s", p.message(), want)
			}
			p.send("/login/smartcard/begin", nil)
		})
	}
	t.Run("own rule: a window without a passcode is told of, and goes on", func(t *testing.T) {
		p, a := s.redeemed()
		a.report("pin_missing")
		if got := p.news(s, a.question.Transaction); got["ended"] != nil || got["code"] != "PAS-04" {
			t.Errorf("the page hears %v", got)
		}
	})
	t.Run("smartcard: a card is judged before its passcode is asked, for page and agent", func(t *testing.T) {
		p, handle := s.asked()
		a := newDeskAgent(t, s.issuer, s.card(card(unknown), year), s.clock.Now)
		a.redeem(handle)
		shown := map[string]any{"state": "card_in", "x5c": [][]byte{a.card.Certificate().Raw}}
		before := len(s.events())
		if got := a.post("/desk/v1/progress", shown, a.prove("/desk/v1/progress", nil)); got.status != http.StatusForbidden || got.body["code"] != "CRT-04" {
			t.Errorf("the agent is told %d, %v", got.status, got.body)
		}
		if n := len(s.events()) - before; n != 1 {
			t.Errorf("%d rows in the journal, want 1", n)
		}
		if e := s.lastEvent(); e.Kind != idp.SignInNo || !strings.HasPrefix(e.Reason, "the card was shown, and nothing is proved: ") {
			t.Errorf("the journal says %+v", e)
		}
		if got := a.respond(a.answer(nil)); got.status != http.StatusUnauthorized {
			t.Errorf("an answer after that: %d, %v", got.status, got.body)
		}
		p.again()
		p.wantPage(http.StatusForbidden, "This card is not linked to a profile.")
	})
	for name, tt := range map[string]struct {
		code   string
		begins time.Duration
		change func(*parts)
	}{
		"X2: a card whose certificate begins later":                  {"CRT-06", 48 * time.Hour, func(*parts) {}},
		"X8: a card of which nobody can say whether it is cancelled": {"CRT-05", -48 * time.Hour, func(p *parts) { p.authorities = &http.Client{Transport: nobody{}} }},
	} {
		t.Run(name+" is refused before its passcode is asked, for page and agent", func(t *testing.T) {
			s := startDesks(t, 0, tt.change)
			p, handle := s.asked()
			a := newDeskAgent(t, s.issuer, s.cardFrom(card(oneRole), tt.begins, year), s.clock.Now)
			a.redeem(handle)
			shown := map[string]any{"state": "card_in", "x5c": [][]byte{a.card.Certificate().Raw}}
			if got := a.post("/desk/v1/progress", shown, a.prove("/desk/v1/progress", nil)); got.status != http.StatusForbidden || got.body["code"] != tt.code {
				t.Errorf("the agent is told %d, %v", got.status, got.body)
			}
			p.again()
			if p.message() != tt.code {
				t.Errorf("the page says %s", p.message())
			}
		})
	}
	t.Run("own rule: an agent shows only so many cards for one question", func(t *testing.T) {
		_, a := s.redeemed()
		shown := map[string]any{"state": "card_in", "x5c": [][]byte{a.card.Certificate().Raw}}
		show := func() answered { return a.post("/desk/v1/progress", shown, a.prove("/desk/v1/progress", nil)) }
		for range smartcard.MostShown {
			show().wantOK(t)
		}
		if got := show(); got.status != http.StatusUnauthorized {
			t.Errorf("the card after that: %d, %v", got.status, got.body)
		}
		a.report("pin_prompt") // which asks nobody
	})
	t.Run("own rule: a network redeems only so many links at once, and those that wait are not used up", func(t *testing.T) {
		s := startDesks(t, 0, func(p *parts) { p.beginsEach, p.beginsAtOnce = 0.1, 2 })
		_, handle := s.asked()
		a := s.agent()
		for range 2 {
			if got := a.post("/desk/v1/redeem", a.redemption(digest())); got.status != http.StatusGone {
				t.Errorf("a link that there is not: %d, %v", got.status, got.body)
			}
		}
		if got := a.post("/desk/v1/redeem", a.redemption(handle)); got.status != http.StatusTooManyRequests || got.body["code"] != "LIM-01" {
			t.Errorf("one more: %d, %v", got.status, got.body)
		}
		s.pass(11 * time.Second)
		a.redeem(handle)
	})
	t.Run("smartcard: of a card that ends soon the agent is told before its passcode is asked", func(t *testing.T) {
		_, handle := s.asked()
		a := newDeskAgent(t, s.issuer, s.card(card(oneRole), 12*24*time.Hour), s.clock.Now)
		a.redeem(handle)
		shown := map[string]any{"state": "card_in", "x5c": [][]byte{a.card.Certificate().Raw}}
		got := a.post("/desk/v1/progress", shown, a.prove("/desk/v1/progress", nil))
		got.wantOK(t)
		if told := fmt.Sprint(got.body["notices"]); !strings.Contains(told, "CRT-02") || !strings.Contains(told, "ends in 12 days") {
			t.Errorf("the agent is told %v", got.body)
		}
		a.respond(a.answer(nil)).wantOK(t)
	})
	t.Run("own rule: an agent that stops before the browser comes is not gone to", func(t *testing.T) {
		p, a := s.signed()
		a.report("agent_stopped")
		p.again()
		p.wantPage(http.StatusOK, "The card reader program stopped before sign-in finished.")
	})
	t.Run("own rule: an agent that is not heard of has stopped", func(t *testing.T) {
		p, a := s.redeemed()
		s.pass(3 * time.Second)
		a.report("pin_prompt")
		s.pass(3 * time.Second)
		if got := p.news(s, a.question.Transaction); got["state"] != "pin_prompt" {
			t.Errorf("an agent that was heard of three seconds ago: %v", got)
		}
		s.pass(2 * time.Second)
		if got := p.news(s, a.question.Transaction); got["code"] != "AGT-05" || got["ended"] != true {
			t.Errorf("an agent that was not: %v", got)
		}
		p.again()
		p.wantPage(http.StatusOK, "The card reader program stopped before sign-in finished.")
	})
	for name, ahead := range map[string]time.Duration{"ahead": 30 * time.Second, "behind": -30 * time.Second} {
		t.Run("own rule: nor is an agent taken for silent, or silence for an agent, whose server has its clock "+name+" of the page's", func(t *testing.T) {
			s := startDesks(t, ahead, func(*parts) {})
			p, handle := s.asked()
			a := newDeskAgent(t, s.issuer, s.card(card(oneRole), year), func() time.Time { return s.clock.Now().Add(ahead) })
			a.redeem(handle)
			for range 3 {
				s.pass(3 * time.Second)
				a.report("pin_prompt")
				if got := p.news(s, a.question.Transaction); got["state"] != "pin_prompt" {
					t.Errorf("an agent that was heard of just now: %v", got)
				}
			}
			s.pass(5 * time.Second)
			if got := p.news(s, a.question.Transaction); got["code"] != "AGT-05" {
				t.Errorf("an agent that was not heard of for five seconds: %v", got)
			}
			a.report("pin_prompt")
			a.respond(a.answer(nil)).wantOK(t)
			p.again()
			here := p.at.String()
			p.wantPage(http.StatusOK, "Your card has been checked")
			s.pass(5 * time.Second)
			p.open(here)
			p.wantPage(http.StatusOK, "The card reader program stopped before sign-in finished.")
		})
	}
	t.Run("own rule: nobody is sent to an agent that has stopped", func(t *testing.T) {
		p, a := s.signed()
		p.again()
		here := p.at.String()
		s.pass(6 * time.Second)
		a.report("signing")
		p.open(here)
		p.wantPage(http.StatusOK, "Your card has been checked")
		s.pass(6 * time.Second)
		p.open(here)
		p.wantPage(http.StatusOK, "The card reader program stopped before sign-in finished.")
	})
	t.Run("own rule: a page that waits does not keep the server from stopping", func(t *testing.T) {
		p, _ := s.asked()
		events := p.listen(s, txOf(p))
		<-events
		close(s.closing)
		for range events { // until the stream ends, which the test's own time bounds
		}
	})
}

// nobody is a network in which nobody answers.
type nobody struct{}

// RoundTrip implements http.RoundTripper.
func (nobody) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody is there")
}

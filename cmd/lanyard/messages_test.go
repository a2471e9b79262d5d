package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/idp/provider"
)

// reached are the messages of the catalogue that somebody can meet at a
// development service: with which status, and how they come there.
var reached = map[string]struct {
	status int
	how    func(*running, *person)
}{
	"AGT-01": {http.StatusOK, func(s *running, p *person) { asksForCard(s, p); p.again() }},
	"CAN-01": {http.StatusOK, atDesk("cancelled")},
	"CRD-01": {http.StatusOK, atDesk("wait_card")},
	"CRD-03": {http.StatusForbidden, outlivesTheAuthority},
	"CRD-05": {http.StatusOK, atDesk("wait_card", "card_removed")},
	"CRD-06": {http.StatusForbidden, shows("555000000112")},
	"CRD-07": {http.StatusForbidden, shows("555000000110")},
	"CRT-01": {http.StatusForbidden, shows(expired)},
	"CRT-02": {http.StatusOK, signsInAt("basic", endsSoon)},
	"CRT-03": {http.StatusForbidden, shows("555000000109")},
	"CRT-04": {http.StatusForbidden, shows(unknown)},
	"CRT-05": {http.StatusForbidden, losesTheAuthority},
	"ERR-01": {http.StatusInternalServerError, findsOurFault},
	"ERR-02": {http.StatusServiceUnavailable, findsRedisGone},
	"LIM-01": {http.StatusTooManyRequests, comesTooOften},
	"NOT-01": {http.StatusNotFound, func(s *running, p *person) { p.open(s.issuer + "/nothing") }},
	"PAS-01": {http.StatusBadRequest, types("999999")},
	"PAS-02": {http.StatusBadRequest, types("999999", "999999")},
	"PAS-03": {http.StatusForbidden, shows("555000000108")},
	"PAS-04": {http.StatusBadRequest, types("")},
	"PRF-01": {http.StatusForbidden, signsInAt("finder", closed)},
	"PRF-02": {http.StatusForbidden, signsInAt("finder", restricted)},
	"PRF-03": {http.StatusForbidden, signsInAt("basic", unverified)},
	"RDR-01": {http.StatusOK, atDesk("no_reader")},
	"REQ-01": {http.StatusBadRequest, func(s *running, p *person) { p.open(s.authorizeURL("nobody", nil)) }},
	"REQ-02": {http.StatusBadRequest, func(s *running, p *person) {
		p.open(s.authorizeURL("basic", url.Values{"redirect_uri": {"https://elsewhere.example/"}}))
	}},
	"ROL-01": {http.StatusForbidden, signsInAt("needs-role", noRole)},
	"ROL-03": {http.StatusBadRequest, func(s *running, p *person) { choosesRole(s, p, "") }},
	"SES-01": {http.StatusBadRequest, func(s *running, p *person) { p.open(s.issuer + "/login?id=x") }},
	"SES-02": {http.StatusBadRequest, func(s *running, p *person) {
		another := newPerson(p.t)
		another.open(s.authorizeURL("basic", nil))
		p.open(another.at.String())
	}},
	"SES-03": {http.StatusBadRequest, func(s *running, p *person) {
		a := asksForCard(s, p)
		a.redeem(p.starts().Get("h"))
		p.open(a.doneURL())
	}},
}

// notReached are those that nobody can meet here, and why.
var notReached = map[string]string{
	"AAL-01": "the one way to sign in that there is meets all that gets past the beginning; the rest is told to the application",
	"CRT-06": "certificates of virtual cards have begun, and the clock never goes back: needs the clock of another computer",
	"ROL-02": "no application says which roles it accepts yet",
}

// asksForCard comes to the page that waits for a card at a desk, and returns
// an agent, which has no card.
func asksForCard(s *running, p *person) *deskAgent {
	p.open(s.authorizeURL("basic", nil))
	p.post("/login/smartcard/begin", url.Values{"id": {p.at.Query().Get("id")}})
	return newDeskAgent(p.t, s.issuer, nil, time.Now)
}

// atDesk looks at that page after an agent has reported these things.
func atDesk(states ...string) func(*running, *person) {
	return func(s *running, p *person) {
		a := asksForCard(s, p)
		a.redeem(p.starts().Get("h"))
		for _, state := range states {
			a.report(state)
		}
		p.again()
	}
}

// shows begins to sign in with the card of uid.
func shows(uid string) func(*running, *person) {
	return func(s *running, p *person) {
		p.open(s.authorizeURL("basic", nil))
		p.link("card=" + card(uid))
	}
}

// types tries these passcodes, after the right one has set the count back.
func types(passcodes ...string) func(*running, *person) {
	return func(s *running, p *person) {
		signsInAt("basic", oneRole)(s, p)
		p.wantCode()
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"login"}}))
		p.link("card=" + card(oneRole))
		for _, passcode := range passcodes {
			p.send("/login/smartcard/virtual", url.Values{"passcode": {passcode}})
		}
	}
}

func signsInAt(client, uid string) func(*running, *person) {
	return func(s *running, p *person) {
		p.open(s.authorizeURL(client, nil))
		p.signIn(uid)
	}
}

// choosesRole signs in where a role is asked for, and chooses one of several.
func choosesRole(s *running, p *person, role string) {
	p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
	p.signIn(fiveRoles)
	p.send("/login/role", url.Values{"role": {role}})
}

// outlivesTheAuthority shows a card in twenty years, when what issued it has
// long ended.
func outlivesTheAuthority(_ *running, p *person) {
	s := start(p.t, nil)
	for range 2 {
		body := strings.NewReader(`{"advance":"87600h"}`)
		req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, s.issuer+"/dev/clock", body)
		if err != nil {
			p.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		do(p.t, req).wantOK(p.t)
	}
	shows(oneRole)(&s, p)
}

// losesTheAuthority shows a card about which nobody can be asked.
func losesTheAuthority(_ *running, p *person) {
	s := startParts(p.t, "http://localhost:1", "", nil)
	shows(oneRole)(&s.running, p)
}

// findsRedisGone comes to a service that has lost its Redis.
func findsRedisGone(_ *running, p *person) {
	s, pages := bare(p)
	s.close()
	p.open(pages + "/login?id=x")
}

// findsOurFault comes to a service that was put together wrongly.
func findsOurFault(_ *running, p *person) {
	s, pages := bare(p)
	s.pages.Logins.Standing = nil
	p.open(pages + "/login?id=x")
	s.close()
}

// comesTooOften begins more logins than its network may at once.
func comesTooOften(_ *running, p *person) {
	s, pages := bare(p)
	p.t.Cleanup(s.close)
	protocol, ok := s.pages.Protocol.(*provider.Provider)
	if !ok {
		p.t.Fatalf("a protocol of type %T", s.pages.Protocol)
	}
	protocol.Arrivals = api.NewArrivals(1.0/50, 1, time.Now).Wait
	p.open(running{issuer: pages}.authorizeURL(demoClient, nil))
	p.open(running{issuer: pages}.authorizeURL(demoClient, nil))
	if after := p.header.Get("Retry-After"); after != "50" {
		p.t.Errorf("Retry-After is %q, want 50", after)
	}
}

// bare is a service without its demo application, and where it is.
func bare(p *person) (*devService, string) {
	p.t.Helper()
	s, err := wireDev(devOptions{layout: "standard", issuer: "http://localhost:1"}, "http://localhost:1", "http://localhost:1", slog.New(slog.DiscardHandler), dev.NewLog())
	if err != nil {
		p.t.Fatal(err)
	}
	pages := httptest.NewServer(s.pages.Routes())
	p.t.Cleanup(pages.Close)
	return s, pages.URL
}

var (
	messageText = regexp.MustCompile(`^([A-Z]{3}-\d\d)\.text$`)
	toFill      = regexp.MustCompile(`\{[^}]*\}`)
	unsaid      = regexp.MustCompile(`\{[^}]*\}|\w+\.(one|other)\b|month\.\d|application\.unnamed`) // what pages show of words that they lack
)

func TestEveryMessage(t *testing.T) {
	s := start(t, nil)
	for _, lang := range []string{"en", "cy"} {
		words := map[string]string{}
		if err := json.Unmarshal([]byte(text(t, "web/text/"+lang+".json")), &words); err != nil {
			t.Fatal(err)
		}
		for _, key := range slices.Sorted(maps.Keys(words)) {
			m := messageText.FindStringSubmatch(key)
			if m == nil {
				continue
			}
			row, ok := reached[m[1]]
			if _, not := notReached[m[1]]; ok == not {
				t.Errorf("%s must be in one of the tables reached and notReached", m[1])
			}
			if !ok {
				continue
			}
			t.Run("own rule: "+m[1]+" is met, with its words, in "+lang, func(t *testing.T) {
				p := newPerson(t)
				p.accept = lang
				row.how(&s, p)
				checkMessage(p, row.status, m[1], lang, words[key])
			})
		}
		for _, table := range [][]string{slices.Collect(maps.Keys(reached)), slices.Collect(maps.Keys(notReached))} {
			for _, code := range table {
				if words[code+".text"] == "" {
					t.Errorf("%s is in a table, but in no catalogue", code)
				}
			}
		}
	}
}

// checkMessage looks for a message on the page at hand: its code, and its
// words with nothing left to fill in.
func checkMessage(p *person, status int, code, lang, words string) {
	p.t.Helper()
	p.wantPage(status, "")
	if p.page == nil {
		return
	}
	if got := p.message(); got != code || p.language() != lang {
		p.t.Errorf("the page says %q in %q, want %q in %q:\n%s", got, p.language(), code, lang, p.text())
	}
	for _, piece := range toFill.Split(words, -1) {
		p.wantPage(status, strings.TrimSpace(piece))
	}
	if left := unsaid.FindString(p.text()); left != "" {
		p.t.Errorf("%s stands where words should be:\n%s", left, p.text())
	}
}

// message is the code of the message that the page carries.
func (p *person) message() string {
	for n := range p.page.Descendants() {
		if n.Type == html.ElementNode && attr(n, "data-code") != "" {
			return attr(n, "data-code")
		}
	}
	return ""
}

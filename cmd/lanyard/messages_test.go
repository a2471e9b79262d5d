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
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard/demo"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/provider"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/redis"
)

// reached are the messages of the catalogue that somebody can meet at a
// development service: with which status, and how they come there.
var reached = map[string]struct {
	status int
	how    func(*running, *person)
}{
	"AAL-01": {http.StatusForbidden, usesTooWeakAKey},
	"ACC-02": {http.StatusConflict, func(s *running, p *person) {
		a := withCode(s, p)
		p.open(a.issuer + "/account/add/totp")
	}},
	"ACC-03": {http.StatusBadRequest, func(s *running, p *person) {
		p.atAccount(*s, oneRole)
		p.offersKey(*s, aKey(p.t), "")
	}},
	"ACC-04": {http.StatusBadRequest, changesEmail("/account/email", url.Values{"email": {"nobody"}})},
	"ACC-05": {http.StatusBadRequest, changesEmail("/account/email/code", url.Values{"code": {"AAAA-AAAA"}})},
	"AGT-01": {http.StatusOK, func(s *running, p *person) { asksForCard(s, p); p.again() }},
	"AGT-02": {http.StatusOK, func(s *running, p *person) {
		p.open(s.authorizeURL("basic", nil))
		p.send("/login/smartcard/begin", nil)
		raw, err := cardOf(p.t.Context(), s.issuer, oneRole)
		if err != nil {
			p.t.Fatal(err)
		}
		of, err := virtualcard.Read(raw, func([]byte) error { return nil })
		if err != nil {
			p.t.Fatal(err)
		}
		d := newDeskAgent(p.t, s.issuer, of, time.Now)
		d.redeem(p.starts().Get("h"))
		d.respond(d.answer(nil)).wantOK(p.t)
		p.again()
	}},
	"AGT-03": {http.StatusForbidden, func(s *running, p *person) {
		a := asksForCard(s, p)
		old := a.redemption(p.starts().Get("h"))
		old["agent"] = map[string]string{"name": "lanyard-agent", "version": "0.0.9", "os": "linux"}
		if got := a.post("/desk/v1/redeem", old, ""); got.status != http.StatusForbidden || got.body["code"] != "AGT-03" {
			p.t.Errorf("an old agent is told %d, %v", got.status, got.body)
		}
		p.again()
	}},
	"AGT-04": {http.StatusOK, func(_ *running, p *person) {
		s := startParts(p.t, "", "", func(d *directory.Document) {
			d.Policy.Agents = append(d.Policy.Agents, directory.AgentRule{Product: "test-agent", BlockedFrom: idp.DateOf(time.Now().AddDate(0, 0, 40))})
		})
		a := asksForCard(&s.running, p)
		a.redeem(p.starts().Get("h"))
		p.again()
	}},
	"AGT-05": {http.StatusOK, atDesk("pin_prompt", "agent_stopped")},
	"AGT-06": {http.StatusOK, atDesk("agent_busy")},
	"AUT-01": {http.StatusForbidden, usesWhatIsStopped},
	"CAN-01": {http.StatusOK, atDesk("cancelled")},
	"CLM-01": {http.StatusBadRequest, func(s *running, p *person) {
		p.open(s.issuer + "/claim")
		p.post("/claim", url.Values{"email": {"x@y.example"}, "number": {"QQ123456C"}})
	}},
	"CLM-02": {http.StatusBadRequest, func(s *running, p *person) {
		claimsHere(s, p)
		p.post("/claim/choose", url.Values{"way": {"passkey"}})
	}},
	"CLM-03": {http.StatusBadRequest, func(s *running, p *person) { p.open(s.issuer + "/claim/choose") }},
	"CLM-04": {http.StatusConflict, func(_ *running, p *person) {
		s := start(p.t, nil)
		other := newPerson(p.t)
		other.accept = p.accept
		for _, one := range []*person{other, p} {
			claimsHere(&s, one)
			one.send("/claim/choose", url.Values{"way": {"passkey"}, "alone": {"yes"}})
		}
		other.send("/claim/passkey", other.claimsKey(s, aKey(p.t)))
		p.post("/claim/passkey", p.claimsKey(s, aKey(p.t)))
	}},
	"CRD-01": {http.StatusOK, atDesk("wait_card")},
	"CRD-02": {http.StatusOK, atDesk("card_unreadable")},
	"CRD-03": {http.StatusForbidden, outlivesTheAuthority},
	"CRD-04": {http.StatusOK, atDesk("choose_card")},
	"CRD-05": {http.StatusOK, atDesk("wait_card", "card_removed")},
	"CRD-06": {http.StatusForbidden, shows("555000000112")},
	"CRD-07": {http.StatusForbidden, shows("555000000110")},
	"CRD-08": {http.StatusOK, atDesk("card_busy")},
	"CRD-09": {http.StatusOK, func(_ *running, p *person) {
		s := startParts(p.t, "", "", func(d *directory.Document) {
			d.Policy.CardSeries = append(d.Policy.CardSeries, directory.SeriesRule{Series: 9, BlockedFrom: idp.DateOf(time.Now().AddDate(0, 0, 10))})
		})
		signsInAt("basic", oneRole)(&s.running, p)
	}},
	"CRT-01": {http.StatusForbidden, shows(expired)},
	"CRT-02": {http.StatusOK, signsInAt("basic", endsSoon)},
	"CRT-03": {http.StatusForbidden, shows("555000000109")},
	"CRT-04": {http.StatusForbidden, shows(unknown)},
	"CRT-05": {http.StatusForbidden, losesTheAuthority},
	"ERR-01": {http.StatusInternalServerError, findsOurFault},
	"ERR-02": {http.StatusServiceUnavailable, findsRedisGone},
	"FED-01": {http.StatusForbidden, chooses(-1)},
	"FED-02": {http.StatusForbidden, chooses(1)},
	"FED-03": {http.StatusForbidden, chooses(4)},
	"FED-04": {http.StatusServiceUnavailable, findsNoUpstream},
	"KEY-01": {http.StatusForbidden, func(s *running, p *person) {
		p.open(s.issuer + "/account")
		p.usesKey(*s, aKey(p.t))
	}},
	"KEY-02": {http.StatusForbidden, usesACopy},
	"KEY-03": {http.StatusBadRequest, func(s *running, p *person) {
		p.atAccount(*s, oneRole)
		k := aKey(p.t)
		k.Flags = testkey.UserPresent
		p.offersKey(*s, k, "Verifies nobody")
	}},
	"LIM-01": {http.StatusTooManyRequests, comesTooOften},
	"LIM-02": {http.StatusForbidden, guessesTooOften},
	"NOT-01": {http.StatusNotFound, func(s *running, p *person) { p.open(s.issuer + "/nothing") }},
	"OTP-01": {http.StatusBadRequest, func(s *running, p *person) {
		p.open(s.issuer + "/account")
		p.usesCode(emailOf(p.t, noCard), goodPassword, "000000")
	}},
	"OTP-02": {http.StatusBadRequest, enrols(func(*app) string { return "" }, goodPassword)},
	"PAS-01": {http.StatusBadRequest, types("999999")},
	"PAS-02": {http.StatusBadRequest, types("999999", "999999")},
	"PAS-03": {http.StatusForbidden, shows("555000000108")},
	"PAS-04": {http.StatusBadRequest, types("")},
	"PRF-01": {http.StatusForbidden, signsInAt("finder", closed)},
	"PRF-02": {http.StatusForbidden, signsInAt("finder", restricted)},
	"PRF-03": {http.StatusForbidden, signsInAt("basic", unverified)},
	"PWD-01": {http.StatusBadRequest, enrols(rightCode, "short")},
	"PWD-02": {http.StatusBadRequest, enrols(rightCode, "password12345")},
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
	"RA-02": {http.StatusForbidden, atDeskOf(fiveRoles, "/ra", nil)},
	"RA-03": {http.StatusForbidden, atDeskOf(raManager, "/ra/change/person_restricted", url.Values{"uid": {raManager}})},
	"RA-12": {http.StatusNotFound, atDeskOf(raManager, "/ra/people/000000000000", nil)},
	"SES-03": {http.StatusBadRequest, func(s *running, p *person) {
		a := asksForCard(s, p)
		a.redeem(p.starts().Get("h"))
		p.open(a.doneURL())
	}},
}

// notReached are those that nobody can meet here, and why.
var notReached = map[string]string{
	"ACC-01": "nothing here is worth more than what its person is signed in with: no key is AAL3 without the makers' metadata, and pages ask for a fresh sign-in before",
	"ACC-06": "twenty keys would have to be added first: the rule has its own test",
	"API-01": "programs alone are told, as all of API: see TestAdministration",
	"API-02": "likewise", "API-03": "likewise", "API-04": "likewise", "API-05": "likewise", "API-06": "likewise", "API-07": "likewise", "API-08": "likewise",
	"API-09": "likewise", "API-10": "likewise", "API-11": "likewise", "API-12": "likewise", "API-13": "likewise",
	"CRT-06": "certificates of virtual cards have begun, and the clock never goes back: needs the clock of another computer",
	"OLD-01": "agents of the old service alone are told, as the next: see TestLegacy",
	"OLD-02": "likewise", "OLD-03": "likewise", "OLD-04": "likewise", "OLD-05": "needs the bridge: see TestFrontChannel",
	"RA-01": "who is not active any more has no session either: the rule has its own test",
	"RA-04": "of a change: the registry's own tests make each, and TestFaces shows that pages say what it says",
	"RA-05": "of fields: a page says what is wrong with each in its place",
	"RA-06": "as RA-04, and likewise all that follow", "RA-07": "likewise", "RA-08": "likewise", "RA-09": "likewise", "RA-10": "likewise", "RA-11": "likewise", "RA-13": "likewise", "RA-14": "likewise",
	"RA-15": "likewise", "RA-16": "likewise", "RA-17": "likewise", "RA-18": "likewise", "RA-19": "likewise", "RA-20": "likewise", "RA-21": "likewise", "RA-22": "likewise",
	"RA-23": "likewise", "RA-24": "likewise", "RA-25": "likewise", "RA-26": "likewise", "RA-27": "likewise", "RA-28": "likewise", "RA-29": "likewise", "RA-30": "likewise",
	"RA-31": "likewise", "RA-32": "likewise", "RA-33": "likewise", "RA-34": "likewise", "RA-35": "likewise", "RA-36": "likewise", "RA-37": "likewise", "RA-38": "likewise", "RA-39": "likewise",
	"RA-50": "of certificates of cards, and of applicants: each has its own test", "RA-51": "likewise", "RA-52": "likewise", "RA-53": "likewise", "RA-54": "likewise", "RA-55": "likewise",
	"RA-56": "likewise", "RA-57": "likewise",
	"ROL-02": "no application says which roles it accepts yet",
}

// atDeskOf opens a page of the registration authority as somebody, and sends a
// form there, if there is one.
func atDeskOf(uid, path string, form url.Values) func(*running, *person) {
	return func(s *running, p *person) {
		if form == nil {
			p.atDeskOf(*s, uid, path)
			return
		}
		p.atDeskOf(*s, uid, "/ra")
		p.post(path, form)
	}
}

// claimsHere shows the code from the mail, and comes to where something is
// chosen. Each language has a profile of its own to claim.
func claimsHere(s *running, p *person) {
	p.t.Helper()
	uid := noCard
	if p.accept == "cy" {
		uid = raManager
	}
	p.beginsClaim(*s, emailOf(p.t, uid), numberOf(p.t, uid))
	reader := newPerson(p.t)
	reader.open(s.issuer + "/dev/mail")
	p.send("/claim/code", url.Values{"code": {mailedIn.FindString(reader.text())}})
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

// usesTooWeakAKey signs in with a key where the page offered none.
func usesTooWeakAKey(s *running, p *person) {
	p.atAccount(*s, oneRole)
	k := aKey(p.t)
	p.addsKey(*s, k, "Blue key")
	p.open(s.authorizeURL("basic", url.Values{"prompt": {"login"}}))
	p.post("/login/passkey", url.Values{"id": {p.at.Query().Get("id")}, "answer": {p.keyAnswer(*s, k)}})
}

// withStoppedKey is at the account of somebody who has reported a key as lost.
func withStoppedKey(s *running, p *person) (k *testkey.Key, id string) {
	p.t.Helper()
	p.atAccount(*s, oneRole)
	k = aKey(p.t)
	id = p.addsKey(*s, k, "Lost key")
	p.link("/account/lost?which=" + id)
	p.send("/account/lost", nil)
	p.wantAccount()
	return k, id
}

func usesWhatIsStopped(s *running, p *person) {
	k, _ := withStoppedKey(s, p)
	p.open(s.authorizeURL("basic", url.Values{"prompt": {"login"}, "acr_values": {"AAL2_ANY"}}))
	p.usesKey(*s, k)
}

// usesACopy signs in with a key whose counter stands where it stood before.
func usesACopy(s *running, p *person) {
	p.atAccount(*s, oneRole)
	k := aKey(p.t)
	k.Count = 7
	p.addsKey(*s, k, "Copied key")
	k.Count = 3
	p.open(s.authorizeURL("basic", url.Values{"prompt": {"login"}, "acr_values": {"AAL2_ANY"}}))
	p.usesKey(*s, k)
}

func changesEmail(path string, form url.Values) func(*running, *person) {
	return func(s *running, p *person) {
		p.atAccount(*s, oneRole)
		p.post(path, form)
	}
}

// withCode is at the account of somebody who has a password, at a service of
// their own: everybody has one password at most.
func withCode(_ *running, p *person) running {
	p.t.Helper()
	own := start(p.t, nil)
	p.atAccount(own, oneRole)
	p.addsCode(own, inStep(p.t))
	return own
}

// rightCode is a code that the app shows now.
func rightCode(a *app) string { return a.code(time.Now()) }

// enrols tries to add a password and an app.
func enrols(code func(*app) string, password string) func(*running, *person) {
	return func(s *running, p *person) {
		p.atAccount(*s, fiveRoles)
		inStep(p.t)
		a := p.scans(*s)
		p.send("/account/add/totp", url.Values{"password": {password}, "code": {code(a)}})
	}
}

// chooses signs in at the organisation as one of those whom it knows; -1 is
// nobody.
func chooses(who int) func(*running, *person) {
	return func(s *running, p *person) {
		p.open(s.issuer + "/account")
		p.send("/login/federated/begin", nil)
		form := url.Values{"stop": {"1"}}
		n := 0
		for in := range p.all("input") {
			if attr(in, "type") != "radio" {
				continue
			}
			if n == who {
				form = url.Values{"sub": {attr(in, "value")}}
			}
			n++
		}
		p.send(s.issuer+demo.UpstreamPath+"/choose", form)
	}
}

// findsNoUpstream wants to sign in at an organisation that does not answer.
func findsNoUpstream(_ *running, p *person) {
	s, pages := bare(p)
	p.t.Cleanup(s.close)
	p.open(pages + "/account")
	p.send("/login/federated/begin", nil)
}

// guessesTooOften tries a password once more when the whole year's tries are
// used up.
func guessesTooOften(_ *running, p *person) {
	rdb := aMiniredis(p.t)
	parts := aParts(p.t, "http://localhost:1", time.Now, rdb)
	counts, key, at := redis.New(rdb, time.Now), idp.LimitKey{Account: noCard, Authenticator: "totp"}, time.Now()
	for range idp.GuessLimit.Most {
		at = at.Add(idp.GuessLimit.Longest)
		if err := counts.Attempt(p.t.Context(), key, idp.GuessLimit, at); err != nil {
			p.t.Fatal(err)
		}
	}
	pages := httptest.NewServer(parts.withVirtualCards(p.t).pages.Routes())
	p.t.Cleanup(pages.Close)
	p.open(pages.URL + "/account")
	p.usesCode(emailOf(p.t, noCard), goodPassword, "000000")
}

// bare is a service without its demo application, and where it is.
func bare(p *person) (*devService, string) {
	p.t.Helper()
	s, err := wireDev(p.t.Context(), devOptions{layout: "standard", issuer: "http://localhost:1"}, "http://localhost:1", "http://localhost:1", slog.New(slog.DiscardHandler), dev.NewLog())
	if err != nil {
		p.t.Fatal(err)
	}
	pages := httptest.NewServer(s.pages.Routes())
	p.t.Cleanup(pages.Close)
	return s, pages.URL
}

var (
	messageText = regexp.MustCompile(`^([A-Z]{2,3}-\d\d)\.text$`)
	toFill      = regexp.MustCompile(`\{[^}]*\}`)
	unsaid      = regexp.MustCompile(`\{[^}"]*\}|\w+\.(one|other)\b|month\.\d|application\.unnamed`) // what pages show of words that they lack
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

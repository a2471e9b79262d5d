package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard/legacyclient"
	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/store/memory"
)

// frontDesk is a desk at which somebody holds an SSO token: their browser, which
// is asked for a card, and the agent that has redeemed its link.
type frontDesk struct {
	*deskAgent
	p      *person
	issuer string // as the service calls itself
}

// atFront opens a request of client at a desk. issuer is what the service calls
// itself, where that is not where it is reached.
func (s running) atFront(t *testing.T, client string, more url.Values, issuer string, now func() time.Time) *frontDesk {
	t.Helper()
	p := newPerson(t)
	return s.atFrontOf(p, client, more, issuer, now)
}

func (s running) atFrontOf(p *person, client string, more url.Values, issuer string, now func() time.Time) *frontDesk {
	p.t.Helper()
	p.open(s.authorizeURL(client, more))
	p.send("/login/smartcard/begin", nil)
	a := newDeskAgent(p.t, s.issuer, nil, now)
	a.key = deskKey()
	a.redeem(p.starts().Get("h"))
	return &frontDesk{deskAgent: a, p: p, issuer: issuer}
}

// proves is a DPoP proof for a call, as the service sees its address.
func (f *frontDesk) proves(path string) string {
	return f.prove(path, func(p *proof) { p.claims["htu"] = f.issuer + path })
}

// asks shows an SSO token for a proof.
func (f *frontDesk) asks(ticket string) answered {
	f.t.Helper()
	return f.post("/login/deskproof", map[string]any{"sso_ticket": ticket}, f.proves("/login/deskproof"))
}

// shows answers with a proof in place of the card.
func (f *frontDesk) shows(proof string) answered {
	f.t.Helper()
	got := f.post("/desk/v1/response", map[string]any{"proof": proof}, f.proves("/desk/v1/response"))
	if cc := got.said("cc"); cc != "" {
		f.cc = cc
	}
	return got
}

// enters does all of it, and brings the browser back.
func (f *frontDesk) enters(ticket string) {
	f.t.Helper()
	got := f.asks(ticket)
	got.wantOK(f.t)
	f.shows(got.said("proof")).wantOK(f.t)
	f.comesBack()
}

func (f *frontDesk) comesBack() {
	f.t.Helper()
	f.p.open(strings.Replace(f.doneURL(), f.issuer, f.service, 1))
}

// startFronted starts a service with the front channel on, and opens desks there.
func startFronted(t *testing.T) (s *deskService, at func(client string, more url.Values) *frontDesk) {
	t.Helper()
	s = startLegacy(t, func(p *parts) { p.bridge.Desk = true })
	return s, func(client string, more url.Values) *frontDesk {
		t.Helper()
		return s.atFront(t, client, more, s.issuer, s.clock.Now)
	}
}

// deskKey is that of the one agent of ours whose desks these tests are about: the
// card signs it at the gateway, and what is shown of that session is shown with it.
var deskKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// asNew makes an agent the new one, whose sessions sign in at their desk.
func asNew(a *legacyclient.Agent) *legacyclient.Agent {
	a.Program, a.Version, a.Key = "lanyard-agent", "0.1.0", deskKey()
	return a
}

// newSignedIn is a new agent that has signed in at the old gateway.
func (s *deskService) newSignedIn(uid string) *legacyclient.Agent {
	s.t.Helper()
	a := asNew(s.legacyAgent(uid, card(uid)))
	if err := a.SignIn(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return a
}

func TestFrontChannel(t *testing.T) {
	s, at := startFronted(t)
	role := url.Values{"scope": {"openid profile selectedrole"}}
	t.Run("P19: who has a session at the old gateway comes into an application from that desk without the card, in the role that was chosen there", func(t *testing.T) {
		a := s.newSignedIn(fiveRoles)
		if _, err := a.Choose(t.Context(), a.Roles[3].ID); err != nil {
			t.Fatal(err)
		}
		s.pass(5 * time.Minute)
		f := at("basic", role)
		f.enters(a.Ticket)
		tokens := s.redeem(t, "basic", f.p.wantCode(), nil)
		claims := payload(t, tokens)
		if amr, _ := claims["amr"].([]any); claims["sub"] != fiveRoles || !slices.Equal(amr, []any{"N3_SMARTCARD"}) || claims["acr"] != "AAL3_ANY" || claims["selected_roleid"] != a.Roles[3].ID {
			t.Errorf("the ID token says %v", claims)
		}
		if since := s.clock.Now().Unix() - int64(claims["auth_time"].(float64)); since < 300 {
			t.Errorf("auth_time is %d seconds ago: it is that of the card", since)
		}
		f.p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
		f.p.wantCode()
		f.p.open(s.issuer + "/account")
		if f.p.thisSid() != claims["sid"] || len(f.p.sids()) != 1 {
			t.Errorf("the person sees %v, and here %s: to them it is one session", f.p.sids(), f.p.thisSid())
		}
		if e := s.signedInBy("N3_SMARTCARD", "basic"); e.Session != claims["sid"] || e.Subject != fiveRoles || e.Flag != idp.NotShown {
			t.Errorf("the journal says %+v", e)
		}
	})
	t.Run("own rule: where no role was chosen at the gateway the page asks, once for all browsers that enter by that session", func(t *testing.T) {
		a := s.newSignedIn(fiveRoles)
		first := at("basic", role)
		first.enters(a.Ticket)
		chosen := a.Roles[2].ID
		first.p.send("/login/role", url.Values{"role": {chosen}})
		first.p.wantCode()
		next := at("basic", role)
		next.enters(a.Ticket)
		if got := payload(t, s.redeem(t, "basic", next.p.wantCode(), nil))["selected_roleid"]; got != chosen {
			t.Errorf("the next browser works in %v, want %s", got, chosen)
		}
		anew := at("basic", url.Values{"scope": {"openid profile changedrole"}})
		anew.enters(a.Ticket)
		anew.p.send("/login/role", url.Values{"role": {a.Roles[1].ID}}) // at that browser, and for nobody who works by the first
		if got := payload(t, s.redeem(t, "basic", anew.p.wantCode(), nil))["selected_roleid"]; got != a.Roles[1].ID {
			t.Errorf("another choice at a browser comes to %v", got)
		}
		last := at("basic", role)
		last.enters(a.Ticket)
		if got := payload(t, s.redeem(t, "basic", last.p.wantCode(), nil))["selected_roleid"]; got != chosen {
			t.Errorf("after another choice elsewhere the next works in %v, want %s", got, chosen)
		}
		s.pass(16 * time.Minute) // the card was shown that long ago, whatever was chosen since
		if got := at("basic", role).asks(a.Ticket); got.status != http.StatusForbidden {
			t.Errorf("a choice at a page keeps the session alive: %d %v", got.status, got.body)
		}
		other := s.newSignedIn(fiveRoles)
		alone := at("basic", role)
		alone.enters(other.Ticket)
		if alone.p.at.Path != "/login/role" {
			t.Errorf("another session's browser is at %s", alone.p.at)
		}
	})
	t.Run("P19: what such a session is not worth takes the card", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		s.pass(2 * time.Minute)
		for what, more := range map[string]url.Values{
			"prompt=login":        {"prompt": {"login"}},
			"max_age":             {"max_age": {"60"}},
			"max_age=0":           {"max_age": {"0"}},
			"a card by the desk":  {"acr_values": {"AAL3_CIS2_SMARTCARD"}},
			"somebody else's uid": {"login_hint": {fiveRoles}},
		} {
			if got := at("basic", more).asks(a.Ticket); got.status != http.StatusForbidden || got.body["error"] != "no_session" {
				t.Errorf("%s: %d %v", what, got.status, got.body)
			}
		}
		for _, more := range []url.Values{{"max_age": {"300"}}, {"login_hint": {oneRole}}, {"acr_values": {"AAL3_N3_SMARTCARD"}}, {"acr_values": {"AAL3_SMARTCARD"}}} {
			f := at("basic", more)
			f.enters(a.Ticket)
			f.p.wantCode()
		}
		s.pass(14 * time.Minute) // a session of ours would be over
		if got := at("basic", nil).asks(a.Ticket); got.status != http.StatusForbidden {
			t.Errorf("after 16 minutes without an act: %d %v", got.status, got.body)
		}
	})
	t.Run("P19: a session that has become too old meanwhile for what was asked takes the card", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		s.pass(55 * time.Second)
		f := at("basic", url.Values{"max_age": {"60"}})
		f.shows(f.asks(a.Ticket).said("proof")).wantOK(t)
		s.pass(10 * time.Second)
		f.comesBack()
		f.p.wantPage(http.StatusBadRequest, "SES-03")
	})
	t.Run("P19: the token of an old agent, which every application has, opens no browser's session", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		if got := at("basic", nil).asks(a.Ticket); got.status != http.StatusForbidden || got.body["error"] != "no_session" {
			t.Errorf("%d %v", got.status, got.body)
		}
		wantLives(t, a, true)
	})
	t.Run("P19: no signature that an old agent has its card make opens a session that signs in here, whatever its gateway says and whoever shows it", func(t *testing.T) {
		old := s.legacyAgent(oneRole, card(oneRole)) // the victim's
		relays := func(change func(mallory *legacyclient.Agent, challenge string) (shown string)) (string, error) {
			mallory := asNew(s.legacyAgent(oneRole, card(oneRole)))
			mallory.Card, mallory.X509, mallory.Device = nil, old.X509, "EVIL" // no card here
			challenge, signature, _, err := mallory.Activate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = mallory.Validate(t.Context(), challenge, signature, change(mallory, challenge))
			return mallory.Ticket, err
		}
		sign := func(content []byte, hash crypto.Hash) string {
			victim := *old
			victim.Hash, victim.Bare = hash, true
			response, err := victim.Sign(base64.StdEncoding.EncodeToString(content))
			if err != nil {
				t.Fatal(err)
			}
			return response
		}
		ticket, err := relays(func(mallory *legacyclient.Agent, challenge string) string {
			mallory.Key = nil // it is shown as what it is
			raw, err := base64.StdEncoding.DecodeString(challenge)
			if err != nil {
				t.Fatal(err)
			}
			return sign(raw, crypto.SHA1)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := at("basic", nil).asks(ticket); got.status != http.StatusForbidden || got.body["error"] != "no_session" {
			t.Errorf("%d %v", got.status, got.body)
		}
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
			for what, shown := range map[string]func(input, response string) string{
				"in place of the JWS": func(_, response string) string { return response },
				"in the JWS": func(input, _ string) string {
					h := hash.New()
					h.Write([]byte(input))
					signature, err := old.Card.Sign(rand.Reader, h.Sum(nil), hash) // as it stands in the message
					if err != nil {
						t.Fatal(err)
					}
					return input + "." + base64.RawURLEncoding.EncodeToString(signature)
				},
			} {
				_, err := relays(func(mallory *legacyclient.Agent, challenge string) string {
					raw, err := base64.StdEncoding.DecodeString(challenge)
					if err != nil {
						t.Fatal(err)
					}
					input, err := mallory.Opening(raw) // which her gateway gives the old agent for a challenge
					if err != nil {
						t.Fatal(err)
					}
					return shown(input, sign([]byte(input), hash))
				})
				if err == nil {
					t.Errorf("%v %s: a session", hash, what)
				}
			}
		}
	})
	t.Run("P19: what a card signed for another bridge or another challenge opens nothing", func(t *testing.T) {
		a := asNew(s.legacyAgent(oneRole, card(oneRole)))
		a.Bridge = "https://gas.evil.example"
		wantLegacyRefused(t, a.SignIn(t.Context()), http.StatusBadRequest, "SES-03")
		a.Bridge = strings.ToUpper(s.issuer)
		if err := a.SignIn(t.Context()); err != nil {
			t.Errorf("the same in capitals: %v", err)
		}
		challenge, signature, _, err := a.Activate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other, err := a.Sign(base64.StdEncoding.EncodeToString(make([]byte, 32)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Validate(t.Context(), challenge, signature, other); err == nil {
			t.Error("a session")
		}
	})
	t.Run("P19: an SSO token is worth nothing here to who has not the key that the card signed with it", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.send("/login/smartcard/begin", nil)
		thief := &frontDesk{deskAgent: newDeskAgent(t, s.issuer, nil, s.clock.Now), p: p, issuer: s.issuer}
		thief.redeem(p.starts().Get("h"))
		if got := thief.asks(a.Ticket); got.status != http.StatusForbidden || got.body["error"] != "no_session" {
			t.Errorf("%d %v", got.status, got.body)
		}
		log, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		if i := slices.IndexFunc(lines, func(l string) bool {
			return strings.Contains(l, "give proof") && strings.Contains(l, s.signedInBy("N3_SMARTCARD", "cis1-gateway").Session) && strings.Contains(l, a.Device)
		}); i < 0 {
			t.Error("the log does not say of which session and which desk")
		}
		f := at("basic", nil)
		f.enters(a.Ticket)
		f.p.wantCode()
	})
	t.Run("P19: a proof is of one session, one question and one agent, once and for half a minute", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		f, other := at("basic", nil), at("basic", nil)
		first := f.asks(a.Ticket).said("proof")
		for what, try := range map[string]func(proof string) answered{
			"another question, by its agent": func(proof string) answered { return other.shows(proof) },
			"another key": func(proof string) answered {
				b := newDeskAgent(t, s.issuer, nil, s.clock.Now)
				b.question = f.question
				return b.post("/desk/v1/response", map[string]any{"proof": proof}, b.prove("/desk/v1/response", nil))
			},
			"no key": func(proof string) answered { return f.post("/desk/v1/response", map[string]any{"proof": proof}) },
			"with an answer of a card beside it": func(proof string) answered {
				return f.post("/desk/v1/response", map[string]any{"proof": proof, "jws": "x"}, f.proves("/desk/v1/response"))
			},
			"the SSO token itself": func(string) answered { return at("basic", nil).shows(a.Ticket) },
			"a guess":              func(string) answered { return at("basic", nil).shows(digest()) },
		} {
			if got := try(first); got.status < 400 || got.body["cc"] != nil {
				t.Errorf("%s: %d %v", what, got.status, got.body)
			}
		}
		if got := f.shows(first); got.status == http.StatusOK { // another question used it up
			t.Errorf("a proof that was shown before: %d %v", got.status, got.body)
		}
		g := at("basic", nil)
		proof := g.asks(a.Ticket).said("proof")
		g.shows(proof).wantOK(t)
		if got := g.shows(proof); got.status != http.StatusUnauthorized {
			t.Errorf("the second time: %d %v", got.status, got.body)
		}
		g.comesBack()
		g.p.wantCode()
		late := at("basic", nil)
		proof = late.asks(a.Ticket).said("proof")
		s.pass(31 * time.Second)
		if got := late.shows(proof); got.status == http.StatusOK {
			t.Errorf("after 31 seconds: %d %v", got.status, got.body)
		}
		strange := newDeskAgent(t, s.issuer, nil, s.clock.Now)
		strange.question = at("basic", nil).question
		if got := strange.post("/login/deskproof", map[string]any{"sso_ticket": a.Ticket}, strange.prove("/login/deskproof", nil)); got.status != http.StatusForbidden {
			t.Errorf("an agent that redeemed nothing: %d %v", got.status, got.body)
		}
	})
	t.Run("X10: a proof that is shown for who began elsewhere signs nobody in, there or here", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		attacker := at("basic", nil) // who led this desk's agent to their own question
		attacker.shows(attacker.asks(a.Ticket).said("proof")).wantOK(t)
		victim := newPerson(t)
		victim.open(attacker.doneURL())
		victim.wantPage(http.StatusBadRequest, "SES-02")
		attacker.comesBack()
		attacker.p.wantPage(http.StatusBadRequest, "SES-01")
	})
	t.Run("P19: after the session's end there is no proof, and none that was given is worth anything", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		f, settled := at("basic", nil), at("basic", nil)
		proof := f.asks(a.Ticket).said("proof")
		settled.shows(settled.asks(a.Ticket).said("proof")).wantOK(t)
		if err := a.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.shows(proof); got.status == http.StatusOK {
			t.Errorf("a proof from before: %d %v", got.status, got.body)
		}
		if got := at("basic", nil).asks(a.Ticket); got.status != http.StatusForbidden {
			t.Errorf("a new one: %d %v", got.status, got.body)
		}
		settled.comesBack()
		settled.p.wantPage(http.StatusBadRequest, "SES-03")
		if len(settled.p.cookies(s.running, "lanyard-session")) != 0 {
			t.Error("the browser has a session")
		}
	})
	t.Run("P19: with that session everything ends that came of it, whoever ends it where", func(t *testing.T) {
		for what, end := range map[string]func(*legacyclient.Agent, *frontDesk){
			"sign-out at the gateway": func(a *legacyclient.Agent, _ *frontDesk) {
				if err := a.SignOut(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
			"sign-out at the browser": func(_ *legacyclient.Agent, f *frontDesk) {
				f.p.open(s.issuer + "/sign-out")
				f.p.send("/sign-out", nil)
			},
			"an hour without an act there": func(*legacyclient.Agent, *frontDesk) { s.pass(time.Hour) },
		} {
			a := s.newSignedIn(oneRole)
			f := at("basic", nil)
			f.enters(a.Ticket)
			code := f.p.wantCode()
			tokens := s.redeem(t, "basic", code, nil)
			s.userinfo(t, tokens.said("access_token")).wantOK(t)
			f.p.open(s.authorizeURL("basic", nil))
			late := f.p.wantCode()
			end(a, f)
			s.userinfo(t, tokens.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
			s.redeem(t, "basic", late, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
			wantLives(t, a, false)
			f.p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
			if got := f.p.answer().Get("error"); got != "login_required" {
				t.Errorf("%s: the browser is told %q", what, got)
			}
		}
	})
	t.Run("P19: no token lives longer than that session", func(t *testing.T) {
		short := startLegacy(t, func(p *parts) { p.bridge.Desk, p.bridge.SessionMax = true, 20*time.Minute })
		a := short.newSignedIn(oneRole)
		short.pass(10 * time.Minute)
		f := short.atFront(t, "basic", nil, short.issuer, short.clock.Now)
		f.enters(a.Ticket)
		tokens := short.redeem(t, "basic", f.p.wantCode(), nil)
		claims := payload(t, tokens)
		if lives, _ := tokens.body["expires_in"].(float64); lives < 500 || lives > 600 || claims["exp"].(float64)-claims["iat"].(float64) > 600 {
			t.Errorf("tokens of a session that has ten minutes left live %v s", lives)
		}
		short.pass(10*time.Minute + time.Second)
		short.userinfo(t, tokens.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("P19: no program keeps a session worth its card: 15 minutes after that was shown it is asked for, whatever was called meanwhile", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		for range 2 {
			s.pass(8 * time.Minute)
			legacyAsks(t, a, "/sessionmanager/session/update", "tokenid")
			if _, err := a.Choose(t.Context(), a.Roles[0].ID); err != nil {
				t.Fatal(err)
			}
		}
		if got := at("basic", nil).asks(a.Ticket); got.status != http.StatusForbidden || got.body["error"] != "session_over" {
			t.Errorf("%d %v", got.status, got.body)
		}
		wantLives(t, a, true) // to the old service it goes on
	})
	t.Run("P19: at a browser where somebody is signed in the desk's session of another person lets nobody in", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		p := newPerson(t)
		g := s.atFrontOf(p, "basic", nil, s.issuer, s.clock.Now)
		g.card = s.card(card(fiveRoles), year)
		g.respond(g.answer(nil)).wantOK(t)
		g.comesBack()
		g.p.wantCode()
		f := s.atFrontOf(p, "basic", url.Values{"acr_values": {"AAL3_N3_SMARTCARD"}}, s.issuer, s.clock.Now)
		if got := f.asks(a.Ticket); got.status != http.StatusForbidden || got.body["error"] != "no_session" {
			t.Errorf("%d %v", got.status, got.body)
		}
		own := s.newSignedIn(fiveRoles)
		f.enters(own.Ticket)
		f.p.wantCode()
	})
	t.Run("P19: who changes what they sign in with shows the card, and is not asked twice", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		f := at("basic", nil)
		f.enters(a.Ticket)
		f.p.wantCode()
		f.p.open(s.issuer + "/account/add")
		f.p.send("/login/smartcard/begin", nil)
		f.redeem(f.p.starts().Get("h"))
		if got := f.asks(a.Ticket); got.status != http.StatusForbidden || got.body["error"] != "no_session" {
			t.Errorf("%d %v", got.status, got.body)
		}
		f.card = s.card(card(oneRole), year)
		f.respond(f.answer(nil)).wantOK(t)
		f.comesBack()
		if f.p.at.Path != "/account/add" {
			t.Errorf("with the card they are at %s", f.p.at)
		}
	})
	t.Run("own rule: a card that is shown at the browser after that makes a session of its own", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		f := at("basic", nil)
		f.enters(a.Ticket)
		f.p.wantCode()
		g := s.atFrontOf(f.p, "basic", url.Values{"acr_values": {"AAL3_CIS2_SMARTCARD"}}, s.issuer, s.clock.Now)
		g.card = s.card(card(oneRole), year)
		g.respond(g.answer(nil)).wantOK(t)
		g.comesBack()
		g.p.wantCode()
		wantLives(t, a, true)
		if err := a.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
		g.p.wantCode()
	})
	t.Run("own rule: where an application takes nothing but such a session, whose desk has none is told so before the passcode", func(t *testing.T) {
		n3 := url.Values{"acr_values": {"AAL3_N3_SMARTCARD"}}
		f := at("basic", n3)
		f.card = s.card(card(oneRole), year)
		shown := map[string]any{"state": "card_in", "x5c": [][]byte{f.card.Certificate().Raw}}
		if got := f.post("/desk/v1/progress", shown, f.prove("/desk/v1/progress", nil)); got.status != http.StatusForbidden || got.body["code"] != "OLD-05" {
			t.Errorf("the agent is told %d %v", got.status, got.body)
		}
		if got := f.respond(f.answer(nil)); got.status != http.StatusUnauthorized {
			t.Errorf("an answer after that: %d %v", got.status, got.body)
		}
		f.p.again()
		if f.p.message() != "OLD-05" {
			t.Errorf("the page says %s", f.p.message())
		}
		silent := at("basic", n3) // it shows no certificate before
		silent.card = f.card
		if got := silent.respond(silent.answer(nil)); got.status != http.StatusForbidden || got.body["code"] != "OLD-05" {
			t.Errorf("an agent that shows no card is told %d %v", got.status, got.body)
		}
		g := at("basic", url.Values{"acr_values": {"AAL3_SMARTCARD"}})
		g.card = f.card
		g.post("/desk/v1/progress", shown, g.prove("/desk/v1/progress", nil)).wantOK(t)
	})
	t.Run("own rule: neither SSO token nor proof is in the log", func(t *testing.T) {
		a := s.newSignedIn(oneRole)
		f := at("basic", nil)
		proof := f.asks(a.Ticket).said("proof")
		f.shows(proof).wantOK(t)
		b, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		if log := string(b); strings.Contains(log, a.Ticket) || strings.Contains(log, proof) || !strings.Contains(log, "desk redeemed") {
			t.Error("a secret is in the log, or the log is empty")
		}
	})
	t.Run("own rule: with the switch off there is no such path, and no proof is taken", func(t *testing.T) {
		off := startLegacy(t, nil)
		a := off.newSignedIn(oneRole)
		f := off.atFront(t, "basic", nil, off.issuer, off.clock.Now)
		if got := f.asks(a.Ticket); got.status != http.StatusNotFound {
			t.Errorf("%d %v", got.status, got.body)
		}
		if got := f.shows(digest()); got.status != http.StatusBadRequest {
			t.Errorf("%d %v", got.status, got.body)
		}
	})
	t.Run("own rule: an application that is switched off is not entered that way", func(t *testing.T) {
		some := startLegacy(t, func(p *parts) { p.bridge.Desk, p.bridge.Off = true, []string{"basic:2020-01-01"} })
		a := some.newSignedIn(oneRole)
		if got := some.atFront(t, "basic", nil, some.issuer, some.clock.Now).asks(a.Ticket); got.status != http.StatusForbidden {
			t.Errorf("%d %v", got.status, got.body)
		}
		f := some.atFront(t, "post", nil, some.issuer, some.clock.Now)
		f.enters(a.Ticket)
		f.p.wantCode()
		f.p.open(some.authorizeURL("basic", url.Values{"prompt": {"none"}})) // nor by what the other opened
		if got := f.p.answer().Get("error"); got != "login_required" {
			t.Errorf("the browser that entered the other is told %q", got)
		}
		g := some.atFrontOf(f.p, "basic", nil, some.issuer, some.clock.Now)
		g.card = some.card(card(oneRole), year)
		g.respond(g.answer(nil)).wantOK(t)
		g.comesBack()
		g.p.wantCode()
		g.p.open(some.authorizeURL("post", url.Values{"prompt": {"none"}}))
		g.p.wantCode()
	})
}

// TestStoppedMeanwhile stops cards and people in the midst of each step.
func TestStoppedMeanwhile(t *testing.T) {
	var people *memory.Store
	s := startLegacy(t, func(p *parts) {
		p.bridge.Desk = true
		people, _ = p.registry.(*memory.Store)
	})
	for uid, stop := range map[string]struct {
		what string
		how  func(uid string, e idp.Event) error
		code string // that the gateway says
	}{
		oneRole: {"card is suspended", func(uid string, e idp.Event) error {
			return people.StopCard(t.Context(), uid, card(uid), idp.Act{Event: e})
		}, "CRD-06"},
		fiveRoles: {"person is restricted", func(uid string, e idp.Event) error {
			return people.Change(t.Context(), rules.Touch{People: []string{uid}}, func(r *rules.Records) (idp.Act, error) {
				r.People[uid].Profile = idp.Restricted
				return idp.Act{Event: e}, nil
			})
		}, "PRF-02"},
	} {
		t.Run("P19: what is under way when its "+stop.what+" comes to nothing, at every step", func(t *testing.T) {
			held, asked := s.newSignedIn(uid), asNew(s.legacyAgent(uid, card(uid)))
			challenge, signature, _, err := asked.Activate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			response, err := asked.Sign(challenge)
			if err != nil {
				t.Fatal(err)
			}
			given, settled, entered := s.atFront(t, "basic", nil, s.issuer, s.clock.Now), s.atFront(t, "basic", nil, s.issuer, s.clock.Now), s.atFront(t, "basic", nil, s.issuer, s.clock.Now)
			proof := given.asks(held.Ticket).said("proof")
			settled.shows(settled.asks(held.Ticket).said("proof")).wantOK(t)
			entered.enters(held.Ticket)

			if err := stop.how(uid, idp.Event{At: s.clock.Now(), Kind: idp.AuthenticatorSuspended, Subject: uid}); err != nil {
				t.Fatal(err)
			}

			_, err = asked.Validate(t.Context(), challenge, signature, response)
			wantLegacyRefused(t, err, http.StatusForbidden, stop.code)
			if got := given.shows(proof); proof == "" || got.status == http.StatusOK {
				t.Errorf("a proof that was given before: %d %v", got.status, got.body)
			}
			settled.comesBack()
			if settled.p.answer() != nil || len(settled.p.cookies(s.running, "lanyard-session")) != 0 {
				t.Errorf("one that was shown before signed somebody in: %s", settled.p.text())
			}
			entered.p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
			if got := entered.p.answer(); got.Get("error") == "" || got.Get("code") != "" {
				t.Errorf("the browser that had entered is told %v", got)
			}
			wantLives(t, held, false)
			if got := s.atFront(t, "basic", nil, s.issuer, s.clock.Now).asks(held.Ticket); got.status != http.StatusForbidden {
				t.Errorf("a new proof: %d %v", got.status, got.body)
			}
		})
	}
}

// signedInBy is the last sign-in of that method to a client in the journal.
func (s *deskService) signedInBy(method, client string) idp.Event {
	s.t.Helper()
	var last idp.Event
	for _, e := range s.events() {
		if e.Kind == idp.SignedIn && e.Method == method && e.Client == client {
			last = e
		}
	}
	return last
}

// TestFrontRaces lets sessions end at one server while people come in by them at
// the other.
func TestFrontRaces(t *testing.T) {
	const races, atOnce = 60, 3
	both, _, agent := legacyPair(t, map[string]string{"policy.begins_each": "0", "bridge.desk": "true"})
	first := asNew(agent("555000000118"))
	t.Run(fmt.Sprintf("P19: in %d races between a proof and the session's end nobody is let in after it, and applications are told", races), func(t *testing.T) {
		work, failed, made := make(chan int), make(chan string, 4*races), make(chan bool, races)
		done := make(chan struct{}, atOnce)
		for range atOnce {
			go func() {
				defer func() { done <- struct{}{} }()
				for i := range work {
					frontRace(t, both, *first, i, func(what string) { failed <- what }, func(got bool) { made <- got })
				}
			}()
		}
		for i := range races {
			work <- i
		}
		close(work)
		for range atOnce {
			<-done
		}
		close(failed)
		close(made)
		for what := range failed {
			t.Error(what)
		}
		in := 0
		for got := range made {
			if got {
				in++
			}
		}
		t.Logf("%d came in before the end, %d did not", in, races-in)
	})
}

// frontRace is one race.
func frontRace(t *testing.T, both []running, a legacyclient.Agent, i int, failed func(string), made func(bool)) {
	if err := a.SignIn(t.Context()); err != nil {
		failed(err.Error())
		return
	}
	a.Session["sso_logout_url"] = a.Base + "/login/authlogout"
	f := both[1].atFront(t, "told", nil, pairIssuer, time.Now)
	proof := f.asks(a.Ticket).said("proof")
	came := make(chan answered, 1)
	go func() { // as far as it gets
		got := answered{}
		defer func() { came <- got }()
		if f.shows(proof).status != http.StatusOK {
			return
		}
		f.comesBack()
		if code := f.p.answer().Get("code"); code != "" {
			got = both[1].redeem(t, "told", code, nil)
		}
	}()
	time.Sleep(time.Duration(i%12) * 4 * time.Millisecond)
	if err := a.SignOut(t.Context()); err != nil {
		failed(err.Error())
	}
	after := both[1].atFront(t, "told", nil, pairIssuer, time.Now)
	if got := after.asks(a.Ticket); got.status == http.StatusOK {
		failed("a proof was given after the end")
	}
	token := <-came
	made(token.status == http.StatusOK)
	if token.status != http.StatusOK {
		return
	}
	ended := time.Now()
	for both[1].userinfo(t, token.said("access_token")).status == http.StatusOK {
		if time.Since(ended) > 5*time.Second {
			failed("five seconds after the end a token lives")
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	sid, _ := payload(t, token)["sid"].(string)
	for len(ears().of("told", sid)) == 0 { // one that was made in that very moment is looked after in five seconds
		if time.Since(ended) > 20*time.Second {
			failed("its application is not told")
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestLeavingRaces lets people sign out at one server while their agent opens a
// session with the same card at the other.
func TestLeavingRaces(t *testing.T) {
	people := []string{oneRole, fiveRoles, "555000000118"} // who signs out ends what the same card opened in another race too
	const each = 67
	both, _, agent := legacyPair(t, map[string]string{"policy.begins_each": "0", "bridge.desk": "true"})
	t.Run(fmt.Sprintf("P19: of %d sessions that agents opened while their person signed out at a browser of the other server none lives", each*len(people)), func(t *testing.T) {
		var all sync.WaitGroup
		var opened, not, live atomic.Int64
		for _, uid := range people {
			a := asNew(agent(uid))
			a.Base = both[1].issuer
			all.Go(func() {
				for i := range each {
					switch lives, err := leavingRace(t, both, a, i); {
					case err != nil:
						not.Add(1)
					case lives:
						live.Add(1)
					default:
						opened.Add(1)
					}
				}
			})
		}
		all.Wait()
		if live.Load() != 0 {
			t.Errorf("%d live", live.Load())
		}
		t.Logf("%d were opened and ended, %d were not opened", opened.Load(), not.Load())
	})
}

// leavingRace is one race, of a card that has answered by then. err is why no
// session was opened.
func leavingRace(t *testing.T, both []running, a *legacyclient.Agent, i int) (lives bool, err error) {
	p, _ := both[0].signsIn(t, a.UID)
	p.open(both[0].issuer + "/sign-out")
	challenge, signature, _, err := a.Activate(t.Context())
	if err != nil {
		t.Error(err)
		return false, err
	}
	response, err := a.Sign(challenge)
	if err != nil {
		t.Error(err)
		return false, err
	}
	opened := make(chan error, 1)
	go func() {
		_, err := a.Validate(t.Context(), challenge, signature, response)
		opened <- err
	}()
	time.Sleep(time.Duration(i%12) * time.Millisecond)
	p.send("/sign-out", nil)
	if err := <-opened; err != nil {
		return false, err
	}
	_, text, err := a.Ask(t.Context(), "/identity/isTokenValid", url.Values{"tokenid": {a.Ticket}})
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(text) != "boolean=false", nil
}

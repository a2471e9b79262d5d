package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// asks is a request of the client "basic" for any way to sign in, in a browser
// of its own.
func (s running) asks(t *testing.T) *person {
	t.Helper()
	p := newPerson(t)
	p.open(s.authorizeURL("basic", anyLevel))
	return p
}

// silent is what an application learns that may show no page: whether somebody
// is signed in.
func (p *person) silent(s running) bool {
	p.t.Helper()
	p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}, "acr_values": {"AAL2_OR_AAL3_ANY"}}))
	switch a := p.answer(); {
	case a.Get("code") != "":
		return true
	case a.Get("error") == "login_required":
		return false
	default:
		p.t.Fatalf("the client got %v; page: %s", a, p.seen())
		return false
	}
}

// signedOut waits until nobody is signed in at the browser: other servers learn
// of an end within a second.
func (p *person) signedOut(s running) {
	p.t.Helper()
	until(p.t, "nobody is signed in", func() bool { return !p.silent(s) })
}

// aToken is one of the client "basic" for who is signed in, and a code that
// nobody has redeemed.
func (p *person) aToken(s running) (token, code string) {
	p.t.Helper()
	p.open(s.authorizeURL("basic", anyLevel))
	tokens := s.redeem(p.t, "basic", p.wantCode(), nil)
	tokens.wantOK(p.t)
	token, _ = tokens.body["access_token"].(string)
	p.open(s.authorizeURL("basic", anyLevel))
	return token, p.wantCode()
}

// worthNothing waits until a token is refused, by either server where two are
// asked in turn, and shows the code.
func (s running) worthNothing(t *testing.T, token, code string) {
	t.Helper()
	refused := func() bool { return s.userinfo(t, token).status == http.StatusUnauthorized }
	until(t, "the token is refused", func() bool { one, other := refused(), refused(); return one && other })
	s.redeem(t, "basic", code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
}

func TestKeys(t *testing.T) { onEveryStage(t, keysSignIn) }

func keysSignIn(t *testing.T, s running) {
	t.Helper()
	owner, k := newPerson(t), aKey(t)
	owner.atAccount(s, oneRole)
	owner.addsKey(s, k, "Blue key")
	t.Run("CIS2: a key that nobody vouches for signs in, and says PASSKEY and AAL2", func(t *testing.T) {
		p := s.asks(t)
		p.usesKey(s, k)
		claims := s.claims(t, "basic", p.wantCode())
		wantSame(t, "sub", claims["sub"], oneRole)
		wantSame(t, "acr", claims["acr"], "AAL2_OR_AAL3_ANY")
		wantSame(t, "amr", claims["amr"], []string{"PASSKEY"})
		wantSame(t, "authentication_assurance_level", claims["authentication_assurance_level"], "2")
	})
	t.Run("S5, assurance: an application that wants more asks again, and gets nothing lower", func(t *testing.T) {
		p := s.asks(t)
		p.usesKey(s, k)
		p.wantCode()
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}, "acr_values": {"AAL3_ANY"}}))
		p.wantError("login_required")
		p.open(s.authorizeURL("basic", url.Values{"acr_values": {"AAL3_ANY"}}))
		for form := range p.all("form") {
			if strings.HasPrefix(attr(form, "action"), "/login/totp") || strings.HasPrefix(attr(form, "action"), "/login/passkey") {
				t.Errorf("%s is offered for AAL3", attr(form, "action"))
			}
		}
		p.post("/login/passkey", url.Values{"id": {p.at.Query().Get("id")}, "answer": {p.keyAnswer(s, k)}})
		p.wantPage(http.StatusForbidden, "AAL-01")
	})
	t.Run("S2: a step up is a session of its own, and the one before it is dead", func(t *testing.T) {
		p, thief := s.asks(t), newPerson(t)
		at, err := url.Parse(s.issuer)
		if err != nil {
			t.Fatal(err)
		}
		p.http.Jar.SetCookies(at, []*http.Cookie{{Name: "lanyard-session", Value: "planted", Path: "/"}})
		p.usesKey(s, k)
		p.wantCode()
		before := p.cookies(s, "lanyard-session")
		if len(before) != 1 || before[0].Value == "planted" {
			t.Fatalf("the session's cookies are %v", before)
		}
		p.open(s.authorizeURL("basic", url.Values{"acr_values": {"AAL3_ANY"}}))
		p.signIn(oneRole)
		p.wantCode()
		if after := p.cookies(s, "lanyard-session"); len(after) != 1 || after[0].Value == before[0].Value {
			t.Errorf("the session's cookies are %v after a step up", after)
		}
		thief.http.Jar.SetCookies(at, before)
		thief.signedOut(s)
	})
	t.Run("A6: from AAL2 a weaker or equal way is added, and nothing of AAL3 changed", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.issuer + "/account")
		p.usesKey(s, k)
		p.wantAccount()
		p.addsKey(s, aKey(t), "Second key")
		p.open(s.issuer + "/account/email")
		if p.at.Path != "/login" {
			t.Errorf("AAL2 comes to %s", p.at)
		}
	})
	t.Run("W11: of two copies of a key that sign in at once one does, and the one left behind is refused", func(t *testing.T) {
		copied := *k
		people := []*person{s.asks(t), s.asks(t)}
		forms := []url.Values{
			{"id": {people[0].at.Query().Get("id")}, "answer": {people[0].keyAnswer(s, k)}},
			{"id": {people[1].at.Query().Get("id")}, "answer": {people[1].keyAnswer(s, &copied)}},
		}
		if won := atOnce(people, func(i int) bool {
			people[i].post("/login/passkey", forms[i])
			return people[i].answer().Get("code") != ""
		}); won != 1 {
			t.Errorf("%d signed in", won)
		}
		copied.Count = k.Count - 1
		late := s.asks(t)
		late.usesKey(s, &copied)
		late.wantPage(http.StatusForbidden, "")
		if late.message() != "KEY-02" {
			t.Errorf("the page says %s", late.message())
		}
	})
}

// atOnce lets everybody act at the same instant, and says how many succeeded.
func atOnce(people []*person, act func(int) bool) int {
	var wg sync.WaitGroup
	var won atomic.Int64
	begin := make(chan struct{})
	for i := range people {
		wg.Go(func() {
			<-begin
			if act(i) {
				won.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	return int(won.Load())
}

// One stage after the other: what hashes passwords has no time for others.
func TestOneTimeCodes(t *testing.T) {
	for stage, open := range stages {
		t.Run(stage, func(t *testing.T) { codesSignIn(t, open(t)) })
	}
}

func codesSignIn(t *testing.T, s running) {
	t.Helper()
	owner := newPerson(t)
	owner.atAccount(s, oneRole)
	now := inStep(t)
	a := owner.addsCode(s, now)
	email := emailOf(t, oneRole)
	refused := func(t *testing.T, code string) {
		t.Helper()
		p := s.asks(t)
		p.usesCode(email, goodPassword, code)
		p.wantPage(http.StatusBadRequest, "")
		if p.message() != "OTP-01" {
			t.Errorf("the page says %s", p.message())
		}
	}
	first := a.at(a.used)
	t.Run("A2: the code that proved the enrolment does not sign in", func(t *testing.T) { refused(t, first) })
	second := a.code(now)
	t.Run("CIS2: a password and a code sign in, and say TOTP and AAL2", func(t *testing.T) {
		p := s.asks(t)
		p.usesCode(" "+strings.ToUpper(email), goodPassword, second[:3]+" "+second[3:])
		claims := s.claims(t, "basic", p.wantCode())
		wantSame(t, "sub", claims["sub"], oneRole)
		wantSame(t, "amr", claims["amr"], []string{"TOTP"})
		wantSame(t, "authentication_assurance_level", claims["authentication_assurance_level"], "2")
	})
	t.Run("A2: a code signs in once, at whichever server", func(t *testing.T) { refused(t, second); refused(t, second) })
	third := a.code(now)
	t.Run("A2: of six who show one code at the same instant one signs in", func(t *testing.T) {
		people := make([]*person, 6)
		for i := range people {
			people[i] = s.asks(t)
			people[i].open("/login/totp?id=" + url.QueryEscape(people[i].at.Query().Get("id")))
		}
		if won := atOnce(people, func(i int) bool {
			people[i].usesCode(email, goodPassword, third)
			return people[i].answer().Get("code") != ""
		}); won != 1 {
			t.Errorf("%d signed in", won)
		}
	})
	t.Run("A2: nor does one that comes before the last one used", func(t *testing.T) { refused(t, first); refused(t, second) })
}

func TestGuessesAtOnce(t *testing.T) { guessesAtOnce(t, inTurn(t)) }

func guessesAtOnce(t *testing.T, s running) {
	t.Helper()
	t.Run("A1: of 200 guesses at once at two servers few are judged, and their person gets in with a card", func(t *testing.T) {
		owner := newPerson(t)
		owner.atAccount(s, oneRole)
		a := owner.addsCode(s, inStep(t))
		p := s.asks(t)
		id := p.at.Query().Get("id")
		guesses := make([]url.Values, 200)
		for i := range guesses {
			p.open("/login/totp?id=" + url.QueryEscape(id))
			for in := range p.all("input") {
				if attr(in, "name") == "question" {
					guesses[i] = url.Values{"id": {id}, "question": {attr(in, "value")}, "email": {emailOf(t, oneRole)}, "password": {"not " + goodPassword}, "code": {"000000"}}
				}
			}
		}
		var judged, waits atomic.Int64
		var wg sync.WaitGroup
		for _, g := range guesses {
			wg.Go(func() {
				switch status, _ := p.fetch("/login/totp", g); status {
				case http.StatusBadRequest:
					judged.Add(1)
				case http.StatusTooManyRequests, http.StatusServiceUnavailable: // or so many wait that no more can
					waits.Add(1)
				default:
					t.Errorf("a guess was answered %d", status)
				}
			})
		}
		wg.Wait()
		if most := int64(idp.GuessLimit.Free + 6); judged.Load() < 1 || judged.Load() > most || judged.Load()+waits.Load() != 200 {
			t.Errorf("%d were judged and %d had to wait; at most %d may be judged", judged.Load(), waits.Load(), most)
		}
		p = s.asks(t)
		p.usesCode(emailOf(t, oneRole), goodPassword, a.code(time.Now()))
		if p.answer() == nil && p.message() != "LIM-01" { // by now the wait may be over
			t.Errorf("the right one afterwards: %s", p.seen())
		}
		p = s.asks(t)
		p.signIn(oneRole)
		p.wantCode()
	})
}

func TestEndings(t *testing.T) { onEveryStage(t, endings) }

func endings(t *testing.T, s running) {
	t.Helper()
	// both are browsers of one person, who holds a key: the second is signed in
	// with it.
	both := func(t *testing.T) (first, second *person, id string) {
		t.Helper()
		first, k := newPerson(t), aKey(t)
		first.atAccount(s, oneRole)
		id = first.addsKey(s, k, "Blue key")
		second = s.asks(t)
		second.usesKey(s, k)
		second.wantCode()
		return first, second, id
	}
	t.Run("S8: people see what they are signed in to, and end one of it", func(t *testing.T) {
		first, second, _ := both(t)
		first.open(s.issuer + "/account")
		if !strings.Contains(first.text(), "Ward list") || len(first.sids()) < 2 {
			t.Errorf("the account says %s", first.text())
		}
		own := first.thisSid()
		for _, sid := range first.sids() {
			if sid == own {
				continue
			}
			first.post("/account/sessions/end", url.Values{"sid": {sid}})
			first.wantAccount()
		}
		second.signedOut(s)
		if !first.silent(s) {
			t.Error("the other session has ended too")
		}
	})
	t.Run("S6: signing out everywhere ends sessions, codes and tokens, here and elsewhere", func(t *testing.T) {
		first, second, _ := both(t)
		token, code := second.aToken(s)
		first.open(s.issuer + "/account/everywhere")
		first.send("/account/everywhere", nil)
		if len(first.cookies(s, "lanyard-session")) != 0 {
			t.Error("this browser keeps its cookie")
		}
		second.signedOut(s)
		s.worthNothing(t, token, code)
		first.signedOut(s)
	})
	for _, act := range []string{"remove", "lost"} {
		t.Run("S6, A10: "+act+": what a key signed in to ends with it, and nothing else", func(t *testing.T) {
			first, second, id := both(t)
			token, code := second.aToken(s)
			first.open(s.issuer + "/account/" + act + "?which=" + id)
			first.send("/account/"+act, nil)
			first.wantAccount()
			second.signedOut(s)
			s.worthNothing(t, token, code)
			if !first.silent(s) {
				t.Error("the card's session has ended too")
			}
		})
	}
	t.Run("S7: who takes over a desk gets nothing of whoever was there", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.signIn(fiveRoles)
		p.send("/login/role", url.Values{"role": {firstRole(p)}})
		p.wantCode()
		before := p.cookies(s, "lanyard-session")
		p.open(s.issuer + "/account")
		p.post("/login/change", nil)
		if p.at.Path != "/login" {
			t.Fatalf("the browser comes to %s", p.at)
		}
		p.signIn(oneRole)
		p.wantAccount()
		if got := p.text(); !strings.Contains(got, emailOf(t, oneRole)) || strings.Contains(got, emailOf(t, fiveRoles)) {
			t.Errorf("the account says %s", got)
		}
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}, "scope": {"openid selectedrole"}}))
		if sub := s.claims(t, "basic", p.wantCode())["sub"]; sub != oneRole {
			t.Errorf("the client is told of %v", sub)
		}
		// In the middle of a sign-in, too: it goes on with whoever comes.
		p = newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.signIn(fiveRoles)
		p.send("/login/change", nil)
		if p.at.Path != "/login" {
			t.Fatalf("the browser comes to %s", p.at)
		}
		p.signIn(oneRole)
		if sub := s.claims(t, "basic", p.wantCode())["sub"]; sub != oneRole {
			t.Errorf("the client is told of %v", sub)
		}
		thief := newPerson(t)
		at, err := url.Parse(s.issuer)
		if err != nil {
			t.Fatal(err)
		}
		thief.http.Jar.SetCookies(at, before)
		thief.signedOut(s)
	})
}

// sids are the sessions that the account lists.
func (p *person) sids() []string {
	p.t.Helper()
	var all []string
	for in := range p.all("input") {
		if attr(in, "name") == "sid" {
			all = append(all, attr(in, "value"))
		}
	}
	return all
}

// thisSid is the one of this browser.
func (p *person) thisSid() string {
	p.t.Helper()
	for li := range p.all("li") {
		tagged := false
		for span := range inside(li, "span") {
			tagged = tagged || attr(span, "class") == "lanyard-tag"
		}
		for in := range inside(li, "input") {
			if tagged && attr(in, "name") == "sid" {
				return attr(in, "value")
			}
		}
	}
	p.t.Fatalf("no session is marked as this browser's:\n%s", p.text())
	return ""
}

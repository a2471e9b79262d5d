package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// planted puts cookies of one browser into another.
func (p *person) planted(s running, cookies []*http.Cookie) {
	p.t.Helper()
	at, err := url.Parse(s.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	p.http.Jar.SetCookies(at, cookies)
}

// wantMessage checks that the person was refused with a message.
func (p *person) wantMessage(code string) {
	p.t.Helper()
	if p.answer() != nil || p.status != http.StatusForbidden || p.message() != code {
		p.t.Errorf("%d, client %v, message %s, want %s:\n%s", p.status, p.answer(), p.message(), code, p.seen())
	}
}

func fixation(t *testing.T, w *peerWorld) {
	attacker, victim := newPerson(t), newPerson(t)
	attacker.open(w.authorizeURL("basic", nil))
	login := attacker.at.String()
	victim.open(login)
	victim.wantPage(http.StatusBadRequest, "SES-02")
	victim.try(w.running, http.MethodPost, "/login/smartcard/virtual", url.Values{"id": {attacker.at.Query().Get("id")}, "card": {card(oneRole)}, "passcode": {passcode}})
	victim.wantPage(http.StatusBadRequest, "SES-02")
	// With the attacker's cookies planted the victim signs in, and the
	// attacker's copy of them is worth nothing afterwards.
	victim = newPerson(t)
	victim.planted(w.running, []*http.Cookie{{Name: "lanyard-session", Value: "planted", Path: "/"}})
	victim.open(w.authorizeURL("basic", nil))
	victim.signIn(oneRole)
	victim.wantCode()
	attacker.planted(w.running, []*http.Cookie{{Name: "lanyard-session", Value: "planted", Path: "/"}})
	if attacker.silent(w.running) {
		t.Error("the planted session is the victim's")
	}
	attacker.open(login)
	attacker.wantPage(http.StatusOK, "Sign in to")
}

func cancelledReauthentication(t *testing.T, w *peerWorld) {
	p := newPerson(t)
	p.open(w.authorizeURL("basic", nil))
	p.signIn(oneRole)
	first := payload(t, w.redeem(t, "basic", p.wantCode(), nil))
	for _, cancel := range []func(){
		func() { p.send("/login/cancel", nil); p.wantError("access_denied") },
		func() { p.open(w.issuer) },
		func() { p.open(w.authorizeURL("es256", nil)) },
	} {
		p.open(w.authorizeURL("basic", url.Values{"prompt": {"login"}}))
		cancel()
	}
	p.open(w.authorizeURL("basic", url.Values{"prompt": {"login"}}))
	p.signIn(fiveRoles)
	second := payload(t, w.redeem(t, "basic", p.wantCode(), nil))
	p.open(w.authorizeURL("basic", url.Values{"prompt": {"none"}}))
	third := payload(t, w.redeem(t, "basic", p.wantCode(), nil))
	if second["sub"] != fiveRoles || second["sid"] == first["sid"] || third["sub"] != fiveRoles || third["sid"] != second["sid"] {
		t.Errorf("first %v, then %v, then %v", first, second, third)
	}
}

func sharedDevice(t *testing.T, w *peerWorld) {
	p := newPerson(t)
	p.open(w.authorizeURL("exchanges", nil))
	p.signIn(oneRole)
	tokens := w.redeem(t, "exchanges", p.wantCode(), nil)
	before := p.cookies(w.running, "lanyard-session")
	p.open(w.issuer + "/account")
	p.post("/login/change", nil) // she leaves
	p.signIn(fiveRoles)
	p.wantAccount()
	p.open(w.authorizeURL("exchanges", url.Values{"prompt": {"none"}}))
	next := payload(t, w.redeem(t, "exchanges", p.wantCode(), nil))
	if first := payload(t, tokens); next["sub"] != fiveRoles || next["sid"] == first["sid"] {
		t.Errorf("%v after %v", next, first)
	}
	w.userinfo(t, tokens.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
	w.refresh(t, "exchanges", tokens.said("refresh_token")).wantError(t, http.StatusBadRequest, "invalid_grant")
	again := newPerson(t)
	again.planted(w.running, before)
	if again.silent(w.running) {
		t.Error("the session of the one before has come back")
	}
}

func foreignEnds(t *testing.T, w *peerWorld) {
	victim, attacker := newPerson(t), newPerson(t)
	victim.atAccount(w.running, oneRole)
	sid := victim.thisSid()
	victim.open(w.authorizeURL("exchanges", nil))
	tokens := w.redeem(t, "exchanges", victim.wantCode(), nil)
	attacker.atAccount(w.running, fiveRoles)
	attacker.post("/account/sessions/end", url.Values{"sid": {sid}})
	w.revoke(t, "exchanges-signs", tokens.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_client")
	w.revoke(t, "basic", tokens.said("access_token")).wantError(t, http.StatusBadRequest, "unauthorized_client")
	// And no other site does it for them.
	for _, path := range []string{"/account/sessions/end", "/account/everywhere", "/login/change", "/login/cancel"} {
		req := request(t, http.MethodPost, w.issuer+path, url.Values{"sid": {sid}}, "")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		req.Header.Set("Origin", "https://evil.example")
		resp, err := victim.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, resp.StatusCode)
		}
	}
	if !victim.silent(w.running) {
		t.Error("the session has ended")
	}
	w.userinfo(t, tokens.said("access_token")).wantOK(t)
}

func flagsKept(t *testing.T, _ *peerWorld) {
	// Every member of a registration has a value that its absence would change.
	full := directory.Client{ID: "full", Name: "Full", SecretHash: directory.SecretHash(idp.HashSecret("s")), AuthMethod: idp.SecretPost, JWKSURI: "https://a.example/jwks", JWKS: `{"keys":[]}`,
		AssertionAlgs: []string{"ES256"}, AssertionAudiences: []string{"issuer"}, RedirectURIs: []string{"https://a.example/"}, PostLogoutRedirectURIs: []string{"https://a.example/out"}, BackchannelLogoutURI: "https://a.example/bcl",
		Scopes: []string{"openid", "email"}, Grants: []string{"refresh_token"}, ResponseModes: []string{"query"}, IDTokenAlg: "ES256", UserinfoAlg: "EdDSA", RequirePKCE: true, ACRDefault: idp.AAL2Any, ACRAllowed: []idp.ACR{idp.AAL2Any},
		MinLevel: 2, RequiresRole: true, AcceptsUnverified: true, ExchangeFrom: []string{"b"}}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("%s has no value here: give it one", v.Type().Field(i).Name)
		}
	}
	doc, err := readDocument(writtenDirectory(t, directory.Document{Clients: []directory.Client{full}}))
	if err != nil || !reflect.DeepEqual(doc.Clients[0], full) {
		t.Errorf("written and read again it is %+v, %v", doc.Clients, err)
	}
	c, same := reflect.ValueOf(full.IDP()), reflect.TypeFor[directory.Client]()
	for i := range c.NumField() {
		name := c.Type().Field(i).Name
		if _, there := same.FieldByName(name); !there || c.Field(i).IsZero() {
			t.Errorf("%s is lost on its way to the rules", name)
		}
	}
}

func noFrames(t *testing.T, w *peerWorld) {
	meta := do(t, request(t, http.MethodGet, w.issuer+"/.well-known/openid-configuration", nil, ""))
	for _, name := range []string{"check_session_iframe", "frontchannel_logout_supported"} {
		if v := meta.body[name]; v != nil && v != false {
			t.Errorf("discovery has %s", name)
		}
	}
	p, scripts := w.asks(t), map[string]bool{}
	for _, address := range []string{p.at.String(), "/", "/account", "/login/totp?id=" + url.QueryEscape(p.at.Query().Get("id"))} {
		p.open(address)
		if policy := p.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s may be framed: %s", p.at, policy)
		}
		for n := range p.all("script") {
			scripts[attr(n, "src")] = true
		}
	}
	for script := range scripts {
		if seen := got(t, http.DefaultClient, w.issuer+script); strings.Contains(seen.body, "postMessage") || strings.Contains(seen.body, `"message"`) {
			t.Errorf("%s sends or hears messages", script)
		}
	}
}

func sessionsReplaced(t *testing.T, w *peerWorld) {
	p := newPerson(t)
	p.open(w.authorizeURL("basic", nil))
	p.signIn(oneRole)
	p.wantCode()
	before := p.cookies(w.running, "lanyard-session")
	p.open(w.authorizeURL("basic", url.Values{"prompt": {"login"}}))
	p.signIn(oneRole)
	p.wantCode()
	after := p.cookies(w.running, "lanyard-session")
	if len(after) != 1 || after[0].Value == before[0].Value {
		t.Fatalf("the cookies are %v after %v", after, before)
	}
	old := newPerson(t)
	old.planted(w.running, before)
	if old.silent(w.running) {
		t.Error("the session before the sign-in lives on")
	}
	w.wait(15 * time.Minute)
	if p.silent(w.running) {
		t.Error("a session that was idle for 15 minutes lives on")
	}
	p.open(w.authorizeURL("basic", nil))
	p.wantPage(http.StatusOK, "Sign in to")
	p.signIn(fiveRoles)
	if sub := w.claims(t, "basic", p.wantCode())["sub"]; sub != fiveRoles {
		t.Errorf("%v is signed in", sub)
	}
}

func firstEnrolment(t *testing.T, w *peerWorld) {
	for _, route := range routesOf(t, w.withVirtualCards(t)) {
		method, path, _ := strings.Cut(route, " ")
		if !strings.HasPrefix(path, "/account") {
			continue
		}
		p := newPerson(t)
		p.try(w.running, method, path, url.Values{"uid": {noRole}, "email": {emailOf(t, noRole)}, "password": {goodPassword}, "code": {"000000"}, "name": {"Thief's"}, "answer": {"{}"}})
		if p.status == http.StatusOK && strings.HasPrefix(p.at.Path, "/account") {
			t.Errorf("%s is answered to nobody: %s", route, p.seen())
		}
	}
	// Who claims one shows that it is theirs: see TestClaiming.
	p := newPerson(t)
	for _, path := range []string{"/claim/passkey/begin", "/claim/passkey", "/claim/totp", "/enrol/key/begin", "/enrol/key"} {
		p.try(w.running, http.MethodPost, path, url.Values{"uid": {noRole}, "email": {emailOf(t, noRole)}, "password": {goodPassword}, "code": {"000000"}, "name": {"Thief's"}, "answer": {"{}"}})
		if p.status != http.StatusBadRequest {
			t.Errorf("%s is answered to nobody: %s", path, p.seen())
		}
	}
}

func weakerEdits(t *testing.T, w *peerWorld) {
	owner, strong, weak := newPerson(t), w.vouched(t), aKey(t)
	owner.atAccount(w.running, oneRole)
	id := owner.addsKey(w.running, strong, "A strong key")
	owner.addsKey(w.running, weak, "A weak key")
	p := newPerson(t)
	p.open(w.issuer + "/account")
	p.usesKey(w.running, weak)
	p.wantAccount()
	p.offersKey(w.running, w.vouched(t), "A thief's key")
	p.wantMessage("ACC-01")
	p.post("/account/remove", url.Values{"which": {id}})
	p.wantMessage("ACC-01")
	p = newPerson(t)
	p.open(w.authorizeURL("basic", url.Values{"acr_values": {"AAL3_FIDO2"}}))
	p.usesKey(w.running, strong)
	p.wantCode()
}

var mailedCode = regexp.MustCompile(`^[0-9A-Z]{4}[ -]?[0-9A-Z]{4}$`)

// lastMailed is the code of the last mail to an address.
func (w *peerWorld) lastMailed(t *testing.T, to string) string {
	t.Helper()
	mails := w.people.Mails()
	for i := len(mails) - 1; i >= 0; i-- {
		for _, value := range mails[i].Args {
			if mails[i].To == to && mailedCode.MatchString(value) {
				return value
			}
		}
	}
	t.Fatalf("no code was mailed to %s: %+v", to, mails)
	return ""
}

func resetSteps(t *testing.T, w *peerWorld) {
	const uid = "555000000117"
	email := emailOf(t, uid)
	owner := newPerson(t)
	owner.atAccount(w.running, uid)
	a := owner.addsCode(w.running, w.clock())
	p := w.asks(t)
	id := p.at.Query().Get("id")
	reset := func(mailed, code, password string) {
		t.Helper()
		w.wait(31 * time.Second) // so that there is a code that was not shown yet
		p.post("/login/totp/reset", url.Values{"id": {id}, "email": {email}, "mailed": {mailed}, "code": {code}, "password": {password}})
	}
	signsIn := func(password string) bool {
		t.Helper()
		w.wait(31 * time.Second)
		p := w.asks(t)
		p.usesCode(email, password, a.code(w.clock()))
		return p.answer().Get("code") != ""
	}
	p.post("/login/totp/forgotten", url.Values{"id": {id}, "email": {email}})
	mailed := w.lastMailed(t, email)
	const changed = "another long harbour 17"
	for name, try := range map[string][2]string{"without the mail": {"", a.code(w.clock())}, "with a guess at the mail": {"00000000", a.code(w.clock())}, "without the app": {mailed, ""}} {
		if reset(try[0], try[1], changed); p.status == http.StatusOK {
			t.Errorf("%s: %s", name, p.seen())
		}
	}
	// A code of another browser is none.
	other := w.asks(t)
	other.post("/login/totp/reset", url.Values{"id": {other.at.Query().Get("id")}, "email": {email}, "mailed": {mailed}, "code": {a.code(w.clock())}, "password": {changed}})
	if other.status == http.StatusOK {
		t.Error("a mailed code works in another browser")
	}
	if !signsIn(goodPassword) || signsIn(changed) {
		t.Error("the password has changed without a step")
	}
	p = w.asks(t)
	id = p.at.Query().Get("id")
	p.post("/login/totp/forgotten", url.Values{"id": {id}, "email": {email}})
	mailed = w.lastMailed(t, email)
	w.wait(31 * time.Second)
	if reset(mailed, a.code(w.clock().Add(31*time.Second)), changed); p.status != http.StatusOK {
		t.Fatalf("with all of it: %s", p.seen())
	}
	if reset(mailed, a.code(w.clock()), "a third long harbour 17"); p.status == http.StatusOK && signsIn("a third long harbour 17") {
		t.Error("the mailed code works twice")
	}
}

func essentialACR(t *testing.T, w *peerWorld) {
	owner, weak := newPerson(t), aKey(t)
	owner.atAccount(w.running, oneRole)
	owner.addsKey(w.running, weak, "Weak one")
	p := w.asks(t)
	p.usesKey(w.running, weak)
	p.wantCode()
	essential := asks(`{"id_token":{"acr":{"essential":true,"values":["AAL3_ANY"]}}}`)
	essential.Set("acr_values", "AAL2_OR_AAL3_ANY")
	p.open(w.authorizeURL("basic", essential))
	if p.answer() != nil {
		t.Fatalf("the client got %v by a session of AAL2", p.answer())
	}
	p.post("/login/passkey", url.Values{"id": {p.at.Query().Get("id")}, "answer": {p.keyAnswer(w.running, weak)}})
	p.wantPage(http.StatusForbidden, "AAL-01")
	essential.Set("prompt", "none")
	p.open(w.authorizeURL("basic", essential))
	p.wantError("login_required")
	essential.Del("prompt")
	p.open(w.authorizeURL("basic", essential))
	p.signIn(oneRole)
	if claims := w.claims(t, "basic", p.wantCode()); claims["acr"] != "AAL3_ANY" || claims["authentication_assurance_level"] != "3" {
		t.Errorf("%v", claims)
	}
}

func weakerStepUp(t *testing.T, w *peerWorld) {
	owner, weak := newPerson(t), aKey(t)
	owner.atAccount(w.running, oneRole)
	owner.addsKey(w.running, weak, "Weak two")
	p := newPerson(t)
	p.open(w.authorizeURL("basic", nil))
	p.signIn(oneRole)
	p.wantCode()
	w.wait(time.Minute)
	for _, ask := range []url.Values{{"prompt": {"login"}}, {"max_age": {"1"}}, {"acr_values": {"AAL3_SMARTCARD"}, "prompt": {"login"}}} {
		p.open(w.authorizeURL("basic", ask))
		p.post("/login/passkey", url.Values{"id": {p.at.Query().Get("id")}, "answer": {p.keyAnswer(w.running, weak)}})
		p.wantPage(http.StatusForbidden, "AAL-01")
	}
}

func halfSignIns(t *testing.T, w *peerWorld) {
	owner := newPerson(t)
	owner.atAccount(w.running, oneRole)
	a := owner.addsCode(w.running, w.clock())
	email := emailOf(t, oneRole)
	for name, half := range map[string]url.Values{
		"no code": {"email": {email}, "password": {goodPassword}}, "no password": {"email": {email}, "code": {a.code(w.clock())}}, "a wrong code": {"email": {email}, "password": {goodPassword}, "code": {"000000"}},
	} {
		w.wait(31 * time.Second)
		p := w.asks(t)
		id := p.at.Query().Get("id")
		p.open("/login/totp?id=" + url.QueryEscape(id))
		p.send("/login/totp", half)
		for _, next := range []string{"GET /login", "GET /login/role", "POST /login/role", "POST /login/notice", "GET /account", "POST /login/passkey", "GET /desk/v1/done"} {
			method, path, _ := strings.Cut(next, " ")
			p.try(w.running, method, path, url.Values{"id": {id}, "role": {firstOf(t, oneRole)}})
			if p.answer().Get("code") != "" || p.at.Path == "/account" {
				t.Errorf("%s, then %s: %v at %s", name, next, p.answer(), p.at)
			}
		}
		if p.silent(w.running) {
			t.Errorf("%s: somebody is signed in", name)
		}
	}
}

func unattested(t *testing.T, w *peerWorld) {
	owner, none, stranger := newPerson(t), aKey(t), aKey(t)
	stranger.Model = aModel // it only says so
	owner.atAccount(w.running, oneRole)
	owner.addsKey(w.running, none, "None")
	owner.addsKey(w.running, stranger, "Stranger")
	for name, k := range map[string]*person{"none": w.asks(t), "a model that nobody vouches for": w.asks(t)} {
		key := none
		if name != "none" {
			key = stranger
		}
		k.usesKey(w.running, key)
		if claims := w.claims(t, "basic", k.wantCode()); claims["authentication_assurance_level"] != "2" {
			t.Errorf("%s: %v", name, claims)
		}
		p := newPerson(t)
		p.open(w.authorizeURL("basic", url.Values{"acr_values": {"AAL3_FIDO2"}}))
		p.post("/login/passkey", url.Values{"id": {p.at.Query().Get("id")}, "answer": {p.keyAnswer(w.running, key)}})
		p.wantPage(http.StatusForbidden, "AAL-01")
	}
}

func mixedFactors(t *testing.T, w *peerWorld) {
	const attackers = "555000000116"
	victim, attacker := newPerson(t), newPerson(t)
	victim.atAccount(w.running, fiveRoles)
	victim.addsCode(w.running, w.clock())
	attacker.atAccount(w.running, attackers)
	a, k := attacker.addsCode(w.running, w.clock()), aKey(t)
	attacker.addsKey(w.running, k, "Attacker's")
	w.wait(31 * time.Second)
	p := w.asks(t)
	p.usesCode(emailOf(t, fiveRoles), goodPassword, a.code(w.clock())) // the passwords are the same, the apps are not
	if p.answer() != nil || p.message() != "OTP-01" {
		t.Errorf("the client got %v; %s", p.answer(), p.seen())
	}
	// A key is worth its own person's sign-in, whoever the login hints at.
	p.open(w.authorizeURL("basic", url.Values{"acr_values": {"AAL2_OR_AAL3_ANY"}, "login_hint": {fiveRoles}}))
	p.usesKey(w.running, k)
	if sub := w.claims(t, "basic", p.wantCode())["sub"]; sub != attackers {
		t.Errorf("%v is signed in by a key of %s", sub, attackers)
	}
}

func linkedElsewhere(t *testing.T, w *peerWorld) {
	s := w.dev(t)
	elsewhere := func(sub string) *person {
		t.Helper()
		p := s.asks(t)
		p.send("/login/federated/begin", nil)
		p.send(s.issuer+"/dev/upstream/choose", url.Values{"sub": {sub}})
		return p
	}
	p := s.asks(t)
	p.send("/login/federated/begin", nil)
	var subs []string
	for in := range p.all("input") {
		if attr(in, "name") == "sub" {
			subs = append(subs, attr(in, "value"))
		}
	}
	if len(subs) < 2 {
		t.Fatalf("the accounts elsewhere are %v", subs)
	}
	seen := map[any]string{}
	for _, sub := range subs {
		p := elsewhere(sub)
		if p.answer().Get("code") == "" {
			continue // one that nobody has linked, or that proves too little
		}
		who := s.claims(t, "basic", p.wantCode())["sub"]
		if before, twice := seen[who]; twice {
			t.Errorf("%s and %s both sign in %v", before, sub, who)
		}
		seen[who] = sub
	}
	if len(seen) == 0 || len(seen) == len(subs) {
		t.Errorf("of %d accounts %d sign in: want some, and not those that nobody linked", len(subs), len(seen))
	}
	// An answer that was brought back once is none the second time, nor in
	// another browser.
	used := elsewhere(subs[0])
	for _, browser := range []*person{used, newPerson(t)} {
		browser.open(s.issuer + "/login/federated/callback?code=x&state=x")
		if browser.answer().Get("code") != "" || browser.status == http.StatusOK && browser.at.Path == "/account" {
			t.Errorf("an answer that nobody asked for: %v", browser.answer())
		}
	}
}

func finishedTwice(t *testing.T, w *peerWorld) {
	owner, k := newPerson(t), aKey(t)
	owner.atAccount(w.running, oneRole)
	owner.addsKey(w.running, k, "Once")
	p := w.asks(t)
	id := p.at.Query().Get("id")
	answer := url.Values{"id": {id}, "answer": {p.keyAnswer(w.running, k)}}
	p.post("/login/passkey", answer)
	p.wantCode()
	p.post("/login/passkey", answer)
	p.wantPage(http.StatusBadRequest, "SES-01")
	other := w.asks(t)
	other.post("/login/passkey", url.Values{"id": {other.at.Query().Get("id")}, "answer": answer["answer"]})
	if other.answer() != nil || other.status < 400 {
		t.Errorf("an answer to another login: %v, %d", other.answer(), other.status)
	}
	p.open(w.authorizeURL("basic", url.Values{"prompt": {"login"}}))
	id = p.at.Query().Get("id")
	p.signIn(oneRole)
	p.wantCode()
	p.post("/login/smartcard/virtual", url.Values{"id": {id}, "card": {card(oneRole)}, "passcode": {passcode}})
	p.wantPage(http.StatusBadRequest, "SES-01")
}

func guessesElsewhere(t *testing.T, w *peerWorld) {
	const uid = "555000000103"
	email := emailOf(t, uid)
	owner := newPerson(t)
	owner.atAccount(w.running, uid)
	owner.addsCode(w.running, w.clock())
	p := w.asks(t)
	id := p.at.Query().Get("id")
	var codes []string
	for n := range 2 * (idp.GuessLimit.Free + 2) {
		if n%2 == 0 {
			p.post("/login/totp/forgotten", url.Values{"id": {id}, "email": {email}})
			p.post("/login/totp/reset", url.Values{"id": {id}, "email": {email}, "mailed": {w.lastMailed(t, email)}, "code": {"000000"}, "password": {"another long harbour 17"}})
		} else {
			p.open("/login/totp?id=" + url.QueryEscape(id))
			p.send("/login/totp", url.Values{"email": {email}, "password": {"not it"}, "code": {"000000"}})
		}
		codes = append(codes, p.message())
	}
	if last := codes[len(codes)-2:]; last[0] != "LIM-01" && last[1] != "LIM-01" {
		t.Errorf("the guesses on both paths were answered %v", codes)
	}
	w.wait(time.Hour)
}

func guessesBySpelling(t *testing.T, w *peerWorld) {
	email := emailOf(t, noRole)
	owner := newPerson(t)
	owner.atAccount(w.running, noRole)
	owner.addsCode(w.running, w.clock())
	p := w.asks(t)
	id := p.at.Query().Get("id")
	last := ""
	for n := range idp.GuessLimit.Free + 3 {
		spelt := []string{email, strings.ToUpper(email), " " + email, email + " ", strings.ToUpper(email[:1]) + email[1:], "\t" + email}[n%6]
		p.open("/login/totp?id=" + url.QueryEscape(id))
		p.send("/login/totp", url.Values{"email": {spelt}, "password": {"not it"}, "code": {"000000"}})
		last = p.message()
	}
	if last != "LIM-01" {
		t.Errorf("the last of many guesses, each spelt another way: %s", last)
	}
	w.wait(time.Hour)
}

func enumeration(t *testing.T, w *peerWorld) {
	const uid = "555000000118"
	owner := newPerson(t)
	owner.atAccount(w.running, uid)
	owner.addsCode(w.running, w.clock())
	said := func(email, path string) string {
		t.Helper()
		p := w.asks(t)
		id := p.at.Query().Get("id")
		p.open("/login/totp?id=" + url.QueryEscape(id))
		if path == "/login/totp" {
			p.send(path, url.Values{"email": {email}, "password": {"not it"}, "code": {"000000"}})
		} else {
			p.post(path, url.Values{"id": {id}, "email": {email}})
		}
		return strings.NewReplacer(email, "EMAIL", id, "ID", p.header.Get("X-Request-Id"), "REQUEST", p.header.Get("X-Request-Id")[:8], "REQUEST").Replace(p.text())
	}
	for _, path := range []string{"/login/totp", "/login/totp/forgotten"} {
		if one, other := said(emailOf(t, uid), path), said("nobody@riverside.example", path); one != other {
			t.Errorf("%s says\n%s\nof somebody, and\n%s\nof nobody", path, one, other)
		}
	}
	for _, a := range []answered{w.redeem(t, "nobody", "x", nil), w.redeem(t, "", "x", url.Values{"client_id": {"signs"}})} {
		if a.wantError(t, http.StatusUnauthorized, "invalid_client"); len(a.body) != 1 {
			t.Errorf("a client learns %v", a.body)
		}
	}
	w.wait(time.Hour)
}

func beneathTheButtons(t *testing.T, w *peerWorld) {
	p := newPerson(t)
	p.open(w.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
	id := p.at.Query().Get("id")
	p.signIn(fiveRoles)
	for _, role := range []string{firstOf(t, oneRole), "", "x", "555000000999"} { // another's, and none
		p.post("/login/role", url.Values{"id": {id}, "role": {role}})
		if p.answer() != nil {
			t.Errorf("the role %q: %v", role, p.answer())
		}
	}
	p = newPerson(t)
	p.open(w.authorizeURL("card-only", url.Values{"acr_values": {"AAL3_SMARTCARD"}}))
	id = p.at.Query().Get("id")
	for _, path := range []string{"/login/totp", "/login/passkey", "/login/notice"} {
		p.post(path, url.Values{"id": {id}, "answer": {"{}"}, "email": {emailOf(t, oneRole)}, "password": {goodPassword}, "code": {"000000"}})
		if p.answer().Get("code") != "" || p.status >= http.StatusInternalServerError {
			t.Errorf("%s: %d, %v", path, p.status, p.answer())
		}
	}
	for _, path := range []string{"/dev", "/dev/keys", "/dev/clock", "/dev/mail", "/dev/requests", "/api/v1", "/metrics", "/readyz", "/debug/pprof/"} {
		both, _ := w.production(t)
		if seen := got(t, http.DefaultClient, both[0].issuer+path); seen.status != http.StatusNotFound {
			t.Errorf("%s in production: %d", path, seen.status)
		}
	}
	for _, path := range []string{"/ra", "/ra/people/" + oneRole, "/ra/change/card_revoked", "/api/v1/people?q=smith", "/api/v1/people/" + oneRole, "/api/v1/config/export"} {
		both, _ := w.production(t)
		seen := got(t, http.DefaultClient, both[0].issuer+path)
		if seen.status < http.StatusBadRequest || seen.status >= http.StatusInternalServerError {
			t.Errorf("%s shows somebody who is not signed in: %d", path, seen.status)
		}
	}
}

func endedCards(t *testing.T, w *peerWorld) {
	s := w.dev(t)
	p := newPerson(t)
	p.open(s.authorizeURL("basic", nil))
	id := p.at.Query().Get("id")
	p.link("card=" + card(expired))
	p.wantMessage("CRT-01")
	p.post("/login/smartcard/virtual", url.Values{"id": {id}, "card": {card(expired)}, "passcode": {passcode}})
	p.wantMessage("CRT-01")
	p.open(s.issuer + "/account")
	p.link("card=" + card(expired))
	p.wantMessage("CRT-01")
	if p.silent(s) {
		t.Error("somebody is signed in")
	}
}

func forgedStatus(t *testing.T, _ *peerWorld) {
	forger, err := cardca.New(cardca.Config{Now: time.Now, OCSP: "http://localhost:1/ocsp"})
	if err != nil {
		t.Fatal(err)
	}
	answers := httptest.NewServer(forger.Handler())
	defer answers.Close()
	s := startParts(t, answers.URL, "", nil) // whose cards name the forger for what is known of them
	p := newPerson(t)
	p.open(s.authorizeURL("basic", nil))
	p.link("card=" + card(oneRole))
	if p.status != http.StatusForbidden || p.answer() != nil {
		t.Errorf("a card of which a stranger says that it is good: %d, %s", p.status, p.seen())
	}
}

func foreignCards(t *testing.T, _ *peerWorld) {
	s := startParts(t, "", "", nil)
	for _, serial := range []string{foreignCard, card(unknown)} {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		id := p.at.Query().Get("id")
		p.link("card=" + serial)
		if p.status != http.StatusForbidden {
			t.Errorf("%s: %d", serial, p.status)
		}
		if p.post("/login/smartcard/virtual", url.Values{"id": {id}, "card": {serial}, "passcode": {passcode}}); p.answer() != nil || p.status != http.StatusForbidden {
			t.Errorf("%s signs in: %v", serial, p.answer())
		}
	}
	for name, trust := range map[string]string{"no authority": "", "a file of nothing": written(t, "nothing")} {
		if ran := lanyard(t, withSetting(aProduction(t), "smartcard.trust_files", trust), "serve"); ran.status != exitFailed || !strings.Contains(ran.errors, "smartcard.trust_files") {
			t.Errorf("%s: %d, %s", name, ran.status, ran.errors)
		}
	}
}

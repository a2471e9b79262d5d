package main

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// anIDToken is one of the client "basic" for who is signed in at the browser.
func (p *person) anIDToken(s running) string {
	p.t.Helper()
	p.open(s.authorizeURL("basic", anyLevel))
	tokens := s.redeem(p.t, "basic", p.wantCode(), nil)
	tokens.wantOK(p.t)
	raw, _ := tokens.body["id_token"].(string)
	return raw
}

// signsIn signs in at the client "basic" in a browser of its own, and returns
// its ID token.
func (s running) signsIn(t *testing.T, uid string) (p *person, idToken string) {
	t.Helper()
	p = s.asks(t)
	p.signIn(uid)
	tokens := s.redeem(t, "basic", p.wantCode(), nil)
	tokens.wantOK(t)
	idToken, _ = tokens.body["id_token"].(string)
	return p, idToken
}

// endSession is the address at which an application asks to sign out.
func (s running) endSession(q url.Values) string { return s.issuer + "/end_session?" + q.Encode() }

// wentTo is where the application was sent to, if it was.
func (p *person) wentTo() string {
	if len(p.hops) == 0 || !strings.HasPrefix(p.hops[len(p.hops)-1], callback) {
		return ""
	}
	return p.hops[len(p.hops)-1]
}

// wantSignedOut checks that the person sees that nobody is signed in.
func (p *person) wantSignedOut() {
	p.t.Helper()
	p.wantPage(http.StatusOK, "You are signed out")
}

// wantAsked checks that the person is asked, and that nothing has ended yet.
func (p *person) wantAsked(s running) {
	p.t.Helper()
	p.wantPage(http.StatusOK, "Sign out?")
	if p.at.Path != "/sign-out" || strings.Contains(p.html(), "id_token_hint") {
		p.t.Errorf("they are asked at %s:\n%s", p.at, p.html())
	}
	asked := *p
	if !asked.silent(s) {
		p.t.Error("nobody is signed in any more")
	}
}

// modified is an ID token without its signature that says so.
func modified(idToken string) string {
	_, rest, _ := strings.Cut(idToken, ".")
	payload, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + payload + "."
}

func TestRPInitiatedLogout(t *testing.T) { onEveryStage(t, rpInitiatedLogout) }

func rpInitiatedLogout(t *testing.T, s running) {
	t.Helper()
	t.Run("oidcc-rp-initiated-logout-discovery-endpoint-verification", func(t *testing.T) {
		d := do(t, request(t, http.MethodGet, s.issuer+"/.well-known/openid-configuration", nil, ""))
		d.wantOK(t)
		wantSame(t, "end_session_endpoint", d.body["end_session_endpoint"], s.issuer+"/end_session")
	})
	for module, tt := range map[string]struct {
		q    url.Values // beside the hint, which is left out where it is empty
		asks bool       // the person is asked, and stays here
		goes string     // where they are sent to; "" is nowhere
	}{
		"oidcc-rp-initiated-logout":          {q: url.Values{"post_logout_redirect_uri": {signedOutAt}, "state": {"s&t"}}, goes: signedOutAt + "?state=s%26t"},
		"oidcc-rp-initiated-logout-no-state": {q: url.Values{"post_logout_redirect_uri": {signedOutAt}}, goes: signedOutAt},
		"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": {
			q: url.Values{"post_logout_redirect_uri": {callback}, "state": {"s"}}, asks: true},
		"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": {
			q: url.Values{"post_logout_redirect_uri": {signedOutAt + "?foo=bar"}, "state": {"s"}}, asks: true},
		"oidcc-rp-initiated-logout-modified-id-token-hint": {
			q: url.Values{"id_token_hint": {"modified"}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}, asks: true},
		"oidcc-rp-initiated-logout-bad-id-token-hint": {
			q: url.Values{"id_token_hint": {"bad"}, "client_id": {"basic"}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}, asks: true},
		"oidcc-rp-initiated-logout-no-id-token-hint": {
			q: url.Values{"id_token_hint": {""}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}, asks: true},
		"oidcc-rp-initiated-logout-no-params":                   {q: url.Values{"id_token_hint": {""}}, asks: true},
		"oidcc-rp-initiated-logout-no-post-logout-redirect-uri": {q: url.Values{"state": {"s"}}},
		"oidcc-rp-initiated-logout-only-state":                  {q: url.Values{"id_token_hint": {""}, "state": {"s"}}, asks: true},
	} {
		t.Run(module, func(t *testing.T) {
			p, idToken := s.signsIn(t, oneRole)
			q := url.Values{"id_token_hint": {idToken}}
			maps.Copy(q, tt.q)
			switch q.Get("id_token_hint") {
			case "modified":
				q.Set("id_token_hint", modified(idToken))
			case "bad":
				q.Set("id_token_hint", forged(t, idToken))
			case "":
				q.Del("id_token_hint")
			}
			p.open(s.endSession(q))
			if tt.asks {
				if p.wentTo() != "" {
					t.Fatalf("it leads to %s", p.wentTo())
				}
				p.wantAsked(s)
				p.open(s.endSession(q))
				p.send("/sign-out", nil)
			}
			if p.wentTo() != tt.goes {
				t.Errorf("it leads to %q, want %q", p.wentTo(), tt.goes)
			}
			if tt.goes == "" {
				p.wantSignedOut()
			}
			if len(p.cookies(s, "lanyard-session")) > 0 || p.silent(s) {
				t.Error("somebody is still signed in")
			}
		})
	}
	t.Run("OIDC RP-Initiated Logout §2: by POST as well, from another site too, whose form brings no cookie", func(t *testing.T) {
		p, idToken := s.signsIn(t, oneRole)
		form := url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}
		elsewhere := newPerson(t) // what the browser sends without its cookies
		elsewhere.open(s.issuer + "/")
		elsewhere.post("/end_session", form)
		elsewhere.wantPage(http.StatusOK, "Signing out")
		if policy := elsewhere.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https: http://localhost:1;") {
			t.Errorf("its form may lead to %s", policy)
		}
		p.page, p.at = elsewhere.page, elsewhere.at
		p.send("/end_session", nil)
		if p.wentTo() != signedOutAt+"?state=s" || p.silent(s) {
			t.Errorf("it leads to %q", p.wentTo())
		}
		elsewhere.send("/end_session", nil) // nobody was signed in there
		if elsewhere.wentTo() != signedOutAt+"?state=s" {
			t.Errorf("where nobody is signed in it leads to %q", elsewhere.wentTo())
		}
		p, idToken = s.signsIn(t, oneRole)
		p.open(s.issuer + "/")
		p.post("/end_session", url.Values{"id_token_hint": {idToken}})
		p.wantSignedOut()
	})
	t.Run("OIDC RP-Initiated Logout §3: without a hint the person says so, and is led back then", func(t *testing.T) {
		p, _ := s.signsIn(t, oneRole)
		p.open(s.endSession(url.Values{"client_id": {"basic"}, "post_logout_redirect_uri": {signedOutAt + "?tenant=a%20b"}, "state": {"s"}, "logout_hint": {"x"}, "ui_locales": {"fr cy-GB"}}))
		if p.language() != "cy" || !strings.Contains(p.text(), "Mae Ward list yn gofyn i chi allgofnodi.") {
			t.Errorf("the page is in %s: %s", p.language(), p.text())
		}
		p.send("/sign-out", nil)
		if want := signedOutAt + "?tenant=a%20b&state=s"; p.wentTo() != want || p.silent(s) {
			t.Errorf("it leads to %q, want %q", p.wentTo(), want)
		}
		p.open(s.endSession(url.Values{"client_id": {"basic"}, "post_logout_redirect_uri": {signedOutAt}}))
		p.wantSignedOut()
		if !strings.Contains(p.html(), `href="`+signedOutAt+`"`) {
			t.Errorf("there is no way back:\n%s", p.html())
		}
	})
	t.Run("P15: a token of another person's session, or of another of one's own, ends neither", func(t *testing.T) {
		a, ofA := s.signsIn(t, oneRole)
		b, ofB := s.signsIn(t, fiveRoles)
		another, ofAnother := s.signsIn(t, oneRole)
		for _, hint := range []string{ofB, ofAnother} {
			a.open(s.endSession(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}))
			a.wantAsked(s)
		}
		a.open(s.endSession(url.Values{"id_token_hint": {ofB}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}))
		a.send("/sign-out", nil)
		if a.wentTo() != signedOutAt+"?state=s" || a.silent(s) || !b.silent(s) || !another.silent(s) {
			t.Error("not the session of this browser has ended, or more than that")
		}
		a.open(s.endSession(url.Values{"id_token_hint": {ofA}})) // its session is over already
		a.wantSignedOut()
		another.open(s.endSession(url.Values{"id_token_hint": {ofAnother}, "client_id": {"post"}, "post_logout_redirect_uri": {signedOutAt}}))
		another.wantAsked(s)
	})
	t.Run("P15: what came of the session is over with it", func(t *testing.T) {
		p, idToken := s.signsIn(t, oneRole)
		token, code := p.aToken(s)
		p.open(s.endSession(url.Values{"id_token_hint": {idToken}}))
		s.worthNothing(t, token, code)
	})
	t.Run("P12: what is no ID token is no hint, ours or not", func(t *testing.T) {
		p, idToken := s.signsIn(t, oneRole)
		token, code := p.aToken(s)
		for _, hint := range []string{token, code, "x", idToken + "x", strings.Repeat("a", 20<<10)} {
			p.open(s.issuer + "/")
			p.post("/end_session", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {signedOutAt}})
			p.wantAsked(s)
		}
	})
	t.Run("P22: the person's own word is no form of another site", func(t *testing.T) {
		p, _ := s.signsIn(t, oneRole)
		req := request(t, http.MethodPost, s.issuer+"/sign-out", url.Values{}, "")
		req.Header.Set("Origin", "https://evil.example")
		resp, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || !p.silent(s) {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("RFC 6749 §3.1: a parameter that comes twice, or a state that cannot be given back, is a page", func(t *testing.T) {
		p, idToken := s.signsIn(t, oneRole)
		for _, q := range []url.Values{
			{"id_token_hint": {idToken, idToken}}, {"id_token_hint": {idToken}, "state": {strings.Repeat("x", 3000)}}, {"id_token_hint": {idToken}, "state": {"\xff"}},
		} {
			p.open(s.endSession(q))
			p.wantPage(http.StatusBadRequest, "")
			if p.message() != "REQ-02" {
				t.Errorf("the page says %s", p.message())
			}
		}
		p.open(s.endSession(url.Values{"id_token_hint": {idToken}}))
		p.wantSignedOut()
	})
}

func TestSignOutLater(t *testing.T) {
	s := start(t, nil)
	t.Run("OIDC RP-Initiated Logout §2: an ID token that has expired still says which session is meant", func(t *testing.T) {
		p := newPerson(t)
		p.atAccount(s, oneRole)
		idToken := p.anIDToken(s)
		for range 5 {
			s.advance(t, "14m")
			p.open(s.issuer + "/account") // an act, so that the session lives on
		}
		p.open(s.endSession(url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {signedOutAt}}))
		if p.wentTo() != signedOutAt || p.silent(s) {
			t.Errorf("it leads to %q", p.wentTo())
		}
	})
}

func TestSignOutWithoutRedis(t *testing.T) {
	s, one := onRedis(t, nil)
	p, idToken := s.signsIn(t, oneRole)
	if err := one.Freeze(); err != nil {
		t.Fatal(err)
	}
	t.Run("F6: nobody is told that they are signed out while nobody can say so", func(t *testing.T) {
		for _, address := range []string{s.endSession(url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {signedOutAt}}), s.endSession(nil), s.issuer + "/sign-out"} {
			soon(t, func() { p.open(address) })
			p.wantPage(http.StatusServiceUnavailable, "ERR-02")
		}
		soon(t, func() { p.post("/sign-out", nil) })
		p.wantPage(http.StatusServiceUnavailable, "ERR-02")
	})
	if err := one.Thaw(); err != nil {
		t.Fatal(err)
	}
	until(t, "it has recovered", func() bool { p.open(s.endSession(nil)); return p.status == http.StatusOK })
	p.wantAsked(s)
}

// forged is an ID token with the same claims and the same kid, signed by somebody
// else.
func forged(t *testing.T, idToken string) string {
	t.Helper()
	ours, err := jose.ParseSignedCompact(idToken, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	a := assertion{alg: jose.RS256, key: strangeKey, header: map[jose.HeaderKey]any{"kid": ours.Signatures[0].Protected.KeyID, "typ": "JWT"},
		claims: payload(t, answered{status: http.StatusOK, body: map[string]any{"id_token": idToken}})}
	return a.sign(t).Get("client_assertion")
}

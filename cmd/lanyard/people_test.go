package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

func TestSigningIn(t *testing.T) {
	s := start(t, nil)
	t.Run("role: one is taken silently, several are asked, the last is offered", func(t *testing.T) {
		role := url.Values{"scope": {"openid selectedrole"}}
		p := newPerson(t)
		p.open(s.authorizeURL("basic", role))
		p.signIn(fiveRoles)
		p.wantPage(http.StatusOK, "Choose a role to work in")
		p.send("/login/role", nil)
		p.wantPage(http.StatusBadRequest, "There is a problem")
		p.send("/login/role", url.Values{"role": {"555000000201"}}) // another person's
		p.wantPage(http.StatusBadRequest, "There is a problem")
		var first string
		for in := range p.all("input") {
			if attr(in, "type") == "radio" && first == "" {
				first = attr(in, "value")
			}
		}
		p.send("/login/role", url.Values{"role": {first}})
		p.wantCode()

		p.open(s.authorizeURL("basic", role)) // the session remembers
		p.wantCode()
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid changedrole"}}))
		p.wantPage(http.StatusOK, "Choose a role to work in")

		p = newPerson(t)
		p.open(s.authorizeURL("basic", role))
		p.signIn(fiveRoles)
		p.wantPage(http.StatusOK, "Continue as")
		p.link("other=1")
		p.wantPage(http.StatusOK, "Choose a role to work in")
	})
	t.Run("role: none is legal, unless the application needs one", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.signIn(noRole)
		p.wantCode()
		p.open(s.authorizeURL("needs-role", url.Values{"prompt": {"none"}}))
		p.wantError("access_denied")
		p.open(s.authorizeURL("needs-role", nil))
		p.signIn(noRole)
		p.wantPage(http.StatusForbidden, "ROL-01")
		p.link("/login?id=")
		p.wantError("access_denied")
	})
	t.Run("P14: prompt=login and max_age sign in afresh, prompt=none does not", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		p.wantCode()
		for name, silent := range map[string]url.Values{"nothing": nil, "none": {"prompt": {"none"}}, "max_age": {"max_age": {"10000"}}, "hint": {"login_hint": {oneRole}}} {
			p.open(s.authorizeURL("basic", silent))
			if p.answer().Get("code") == "" {
				t.Errorf("%s: %s", name, p.seen())
			}
		}
		for name, afresh := range map[string]url.Values{"login": {"prompt": {"login"}}, "select": {"prompt": {"select_account"}}, "max_age": {"max_age": {"0"}}, "hint": {"login_hint": {fiveRoles}}} {
			p.open(s.authorizeURL("basic", afresh))
			if p.answer() != nil {
				t.Errorf("%s: the client got %v without a sign-in", name, p.answer())
				continue
			}
			p.signIn(oneRole)
			p.wantCode()
		}
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}, "login_hint": {fiveRoles}}))
		p.wantError("login_required")
	})
	t.Run("OIDC Core §3.1.2.1: id_token_hint lets nobody else be the answer", func(t *testing.T) {
		hint := func(uid, client string) url.Values {
			tokens := s.redeem(t, client, s.signedIn(t, client, uid, nil), nil)
			tokens.wantOK(t)
			token, _ := tokens.body["id_token"].(string)
			return url.Values{"id_token_hint": {token}}
		}
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		p.wantCode()
		same, other := hint(oneRole, "basic"), hint(noRole, "basic")
		p.open(s.authorizeURL("basic", same))
		p.wantCode()
		same.Set("prompt", "none")
		p.open(s.authorizeURL("basic", same))
		p.wantCode()
		p.open(s.authorizeURL("basic", other))
		p.signIn(oneRole)
		p.wantError("login_required")
		other.Set("prompt", "none")
		p.open(s.authorizeURL("basic", other))
		p.wantError("login_required")
		forged := hint(oneRole, "basic")
		forged.Set("id_token_hint", forged.Get("id_token_hint")[:len(forged.Get("id_token_hint"))-8]+"AAAAAAAA")
		for name, bad := range map[string]url.Values{"another client's": hint(oneRole, "es256"), "forged": forged, "rubbish": {"id_token_hint": {"x.y.z"}}} {
			p.open(s.authorizeURL("basic", bad))
			if p.answer().Get("error") != "invalid_request" {
				t.Errorf("%s: %v", name, p.answer())
			}
		}
	})
	t.Run("OIDC Core §3.1.2.6: who stops signing in is gone", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.send("/login/cancel", nil)
		p.wantError("access_denied")
	})
}

func TestProfiles(t *testing.T) {
	s := start(t, nil)
	for _, tt := range []struct{ rule, uid, client, code string }{
		{"assurance: an unverified profile reaches no ordinary application", unverified, "basic", "PRF-03"},
		{"assurance: a restricted profile reaches none", restricted, "finder", "PRF-02"},
		{"assurance: a closed profile reaches none", closed, "finder", "PRF-01"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := newPerson(t)
			p.open(s.authorizeURL(tt.client, nil))
			p.signIn(tt.uid)
			p.wantPage(http.StatusForbidden, tt.code)
			p.link("/login?id=")
			p.wantError("access_denied")
			p.open(s.authorizeURL(tt.client, url.Values{"prompt": {"none"}}))
			p.wantError("login_required")
		})
	}
	t.Run("assurance: an unverified profile reaches an application that accepts it", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("finder", nil))
		p.signIn(unverified)
		p.wantCode()
		p.open(s.authorizeURL("basic", nil)) // and no other through the same session
		p.wantPage(http.StatusOK, "Sign in to Ward list")
		p.signIn(oneRole) // where somebody else may sign in
		p.wantCode()
		p.open(s.authorizeURL("finder", nil))
		p.wantCode()
	})
}

func TestBrowsers(t *testing.T) {
	s := start(t, nil)
	t.Run("S2, X10: a login goes on only in the browser that began it", func(t *testing.T) {
		p, thief := newPerson(t), newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		login := p.at.String()
		thief.open(login)
		thief.wantPage(http.StatusBadRequest, "SES-02")
		thief.at, _ = url.Parse(login)
		thief.page = p.page
		thief.send("/login/cancel", nil)
		thief.wantPage(http.StatusBadRequest, "SES-02")
		p.signIn(oneRole)
		p.wantCode()
		thief.open(login)
		thief.wantPage(http.StatusBadRequest, "SES-01")
	})
	t.Run("P4: a login gives one code", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		login := p.at.String()
		p.signIn(oneRole)
		p.wantCode()
		if len(p.hops) != 1 {
			t.Errorf("the person was led by %v, want the client alone", p.hops)
		}
		p.open(login)
		p.wantPage(http.StatusBadRequest, "SES-01")
	})
	t.Run("own rule: who is signed in and need not be asked is answered at once", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		p.wantCode()
		p.open(s.authorizeURL("basic", nil))
		p.wantCode()
		if len(p.hops) != 1 || len(p.cookies(s, "lanyard-login-")) != 0 {
			t.Errorf("the person was led by %v, with %v; want the client alone, and no login", p.hops, p.cookies(s, "lanyard-login-"))
		}
	})
	t.Run("S2: every sign-in has a session of its own, and the old one is dead", func(t *testing.T) {
		p := newPerson(t)
		at, err := url.Parse(s.issuer)
		if err != nil {
			t.Fatal(err)
		}
		session := func() *http.Cookie {
			for _, c := range p.http.Jar.Cookies(at) {
				if c.Name == "lanyard-session" {
					return c
				}
			}
			return &http.Cookie{}
		}
		p.http.Jar.SetCookies(at, []*http.Cookie{{Name: "lanyard-session", Value: "planted", Path: "/"}})
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		first := session()
		if first.Value == "planted" || len(first.Value) < 43 {
			t.Errorf("the session's cookie is %q", first.Value)
		}
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"login"}}))
		p.signIn(fiveRoles)
		if session().Value == first.Value {
			t.Error("the second sign-in has the first one's session")
		}
		thief := newPerson(t)
		thief.http.Jar.SetCookies(at, []*http.Cookie{first})
		thief.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
		thief.wantError("login_required")
	})
	t.Run("own rule: two tabs do not disturb each other", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"state": {"one"}}))
		one := p.at.String()
		p.open(s.authorizeURL("basic", url.Values{"state": {"two"}}))
		p.signIn(oneRole)
		if got := p.answer().Get("state"); got != "two" {
			t.Errorf("the second tab got %q", got)
		}
		p.open(one)
		if got := p.answer().Get("state"); got != "one" {
			t.Errorf("the first tab got %q: %s", got, p.seen())
		}
	})
	t.Run("P22: a form that another site posts is refused", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+"/login/cancel", strings.NewReader(p.at.RawQuery))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		req.Header.Set("Origin", "https://evil.example")
		resp, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("status %d, want 403", resp.StatusCode)
		}
	})
}

func TestEveryPage(t *testing.T) {
	s := start(t, nil)
	t.Run("P10: policy, frames, referrer and caches on every page", func(t *testing.T) {
		p := newPerson(t)
		check := func() {
			t.Helper()
			h := p.header
			policy := h.Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
				h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Content-Type-Options") != "nosniff" ||
				len(h.Get("X-Request-Id")) != 26 {
				t.Errorf("%s: %v", p.at, h)
			}
		}
		for _, address := range []string{"/", "/nothing", "/login", "/login?id=x", "/login/role?id=x", "/authorize"} {
			p.open(s.issuer + address)
			check()
		}
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		check()
		p.link("card=" + card(fiveRoles))
		check()
		p.send("/login/smartcard/virtual", url.Values{"passcode": {passcode}})
		check()
	})
	t.Run("own rule: the reference on a page is the beginning of its request's id", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.issuer + "/login?id=x")
		p.wantPage(http.StatusBadRequest, p.header.Get("X-Request-Id")[:8])
	})
	t.Run("P20: other origins' scripts reach the protocol alone, and never with cookies", func(t *testing.T) {
		for path, open := range map[string]bool{"/.well-known/openid-configuration": true, "/jwks": true, "/token": true, "/userinfo": true,
			"/authorize": false, "/login": false, "/": false, "/login/cancel": false} {
			req := request(t, http.MethodOptions, s.issuer+path, nil, "")
			req.Header.Set("Origin", "https://app.example")
			req.Header.Set("Access-Control-Request-Method", "POST")
			a := do(t, req)
			if got := a.header.Get("Access-Control-Allow-Origin") == "*"; got != open || a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %v", path, a.header)
			}
		}
	})
}

// wholeSignIn signs somebody in, at the second try, and learns who they are. It
// returns what of that is secret; the passcode is left to the caller.
func (s running) wholeSignIn(t *testing.T) (p *person, secrets []string) {
	t.Helper()
	p = newPerson(t)
	p.open(s.authorizeURL("post", nil))
	login := p.at.Query().Get("id")
	p.link("card=" + card(oneRole))
	p.send("/login/smartcard/virtual", url.Values{"passcode": {"654321"}})
	p.send("/login/smartcard/virtual", url.Values{"passcode": {passcode}})
	code := p.wantCode()
	tokens := s.redeem(t, "", code, url.Values{"client_id": {"post"}, "client_secret": {clientSecret}})
	tokens.wantOK(t)
	token, _ := tokens.body["access_token"].(string)
	s.userinfo(t, token).wantOK(t)
	at, err := url.Parse(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	secrets = []string{"654321", code, token, clientSecret, login, verifier}
	for _, c := range p.http.Jar.Cookies(at) {
		if c.Name != "lanyard-way" { // how somebody signed in last
			secrets = append(secrets, c.Value)
		}
	}
	return p, secrets
}

func TestSecretsStayOut(t *testing.T) {
	s := start(t, nil)
	_, secrets := s.wholeSignIn(t)
	secrets = append(secrets, `"`+passcode) // its digits alone may be part of a time
	logged, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	req := request(t, http.MethodGet, s.ops+"/metrics", nil, "")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	counted, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: nothing secret is in a log or a metric", func(t *testing.T) {
		for _, secret := range secrets {
			if strings.Contains(string(logged), secret) || strings.Contains(string(counted), secret) {
				t.Errorf("%q is in a log or a metric", secret)
			}
		}
		if !strings.Contains(string(logged), `"signed in"`) || !strings.Contains(string(logged), `"request_id"`) ||
			!strings.Contains(string(counted), "lanyard_login_step_total") {
			t.Error("the log or the metrics are not there at all")
		}
	})
}

func TestState(t *testing.T) {
	t.Run("own rule: tries of a passcode outlast the service", func(t *testing.T) {
		file := t.TempDir() + "/state.yaml"
		keep := func(o *devOptions) { o.state = file }
		t.Run("first run", func(t *testing.T) {
			s := start(t, keep)
			p := newPerson(t)
			p.open(s.authorizeURL("basic", nil))
			p.link("card=" + card(oneRole))
			p.send("/login/smartcard/virtual", url.Values{"passcode": {"999999"}})
			p.wantPage(http.StatusBadRequest, "2 tries")
		})
		t.Run("second run", func(t *testing.T) {
			s := start(t, keep)
			p := newPerson(t)
			p.open(s.authorizeURL("basic", nil))
			p.link("card=" + card(oneRole))
			p.send("/login/smartcard/virtual", url.Values{"passcode": {"999999"}})
			p.wantPage(http.StatusBadRequest, "One try left")
		})
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if _, err := directory.Read(f); err != nil {
			t.Error(err)
		}
	})
}

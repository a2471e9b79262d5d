package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAuthorizeRefusals(t *testing.T) {
	s := start(t, nil)
	t.Run("P2: an unknown client or redirect URI is a page, never a redirect", func(t *testing.T) {
		for name, change := range map[string]url.Values{
			"no client":            {"client_id": {""}},
			"unknown client":       {"client_id": {"nobody"}},
			"two clients":          {"client_id": {"basic", "post"}},
			"no redirect":          {"redirect_uri": {""}},
			"unknown redirect":     {"redirect_uri": {"https://evil.example/cb"}},
			"two redirects":        {"redirect_uri": {callback, "https://evil.example/cb"}},
			"redirect and a slash": {"redirect_uri": {callback + "/"}},
			"prompt=none":          {"redirect_uri": {"https://evil.example/cb"}, "prompt": {"none"}},
			"and a bad request":    {"redirect_uri": {"https://evil.example/cb"}, "response_type": {"token"}},
		} {
			p := newPerson(t)
			p.open(s.authorizeURL("basic", change))
			if p.status != http.StatusBadRequest || len(p.hops) != 0 || !strings.Contains(p.text(), "Reference") {
				t.Errorf("%s: %d, %v: %s", name, p.status, p.hops, p.text())
			}
		}
	})
	for _, tt := range []struct {
		rule   string
		client string
		ask    url.Values
		want   string
	}{
		{"OIDC Core §3.1.2.6: scope without openid", "basic", url.Values{"scope": {"profile"}}, "invalid_scope"},
		{"P7: a scope that the client is not registered for", "narrow", url.Values{"scope": {"openid nationalrbacaccess"}}, "invalid_scope"},
		{"P6: response mode fragment", "basic", url.Values{"response_mode": {"fragment"}}, "invalid_request"},
		{"P7: a response mode that the client is not registered for", "query-only", url.Values{"response_mode": {"form_post"}}, "invalid_request"},
		{"P6: no response type", "basic", url.Values{"response_type": {""}}, "invalid_request"},
		{"P6: response type token", "basic", url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		{"P6: response type id_token", "basic", url.Values{"response_type": {"id_token"}}, "unsupported_response_type"},
		{"P6: response type id_token token", "basic", url.Values{"response_type": {"id_token token"}}, "unsupported_response_type"},
		{"P6: response type code token", "basic", url.Values{"response_type": {"code token"}}, "unsupported_response_type"},
		{"P6: response type none", "basic", url.Values{"response_type": {"none"}}, "unsupported_response_type"},
		{"P6: response type code id_token", "basic", url.Values{"response_type": {"code id_token"}}, "unsupported_response_type"},
		{"OIDC Core §6.1: request objects are refused by name", "basic", url.Values{"request": {"x.y.z"}}, "request_not_supported"},
		{"OIDC Core §6.2: request URIs are refused by name", "basic", url.Values{"request_uri": {"https://rp.example/r"}}, "request_uri_not_supported"},
		{"own rule: a nonce of more than 2048 bytes", "basic", url.Values{"nonce": {strings.Repeat("n", 2049)}}, "invalid_request"},
		{"RFC 6749 §3.1: a parameter is repeated", "basic", url.Values{"nonce": {"one", "other"}}, "invalid_request"},
		{"P3: plain", "basic", url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		{"P3: no method means plain", "basic", url.Values{"code_challenge_method": {""}}, "invalid_request"},
		{"P3: a method without a challenge", "basic", url.Values{"code_challenge": {""}}, "invalid_request"},
		{"P3: a challenge that is no SHA-256", "basic", url.Values{"code_challenge": {"short"}}, "invalid_request"},
		{"P3: none from a client that must", "pkce", url.Values{"code_challenge": {""}, "code_challenge_method": {""}}, "invalid_request"},
		{"P3: none from a public client", "public", url.Values{"code_challenge": {""}, "code_challenge_method": {""}}, "invalid_request"},
		{"OIDC Core §3.1.2.1: prompt=none with another", "basic", url.Values{"prompt": {"none login"}}, "invalid_request"},
		{"OIDC Core §3.1.2.1: max_age that is no number", "basic", url.Values{"max_age": {"-1"}}, "invalid_request"},
		{"OIDC Core §3.1.2.6: prompt=none and nobody is signed in", "basic", url.Values{"prompt": {"none"}}, "login_required"},
		{"assurance: nothing known was asked", "basic", url.Values{"acr_values": {"urn:x"}}, "unmet_authentication_requirements"},
		{"assurance: what was asked is not offered here", "basic", url.Values{"acr_values": {"AAL3_FIDO2 AAL3_N3_SMARTCARD"}}, "unmet_authentication_requirements"},
		{"assurance: what was asked is not for this client", "card-only", url.Values{"acr_values": {"AAL2_ANY"}}, "unmet_authentication_requirements"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := newPerson(t)
			p.open(s.authorizeURL(tt.client, tt.ask))
			p.wantError(tt.want)
			if a := p.answer(); a.Get("iss") != s.issuer || a.Get("state") != "the state" {
				t.Errorf("RFC 9207 §2: the client got %v, want our name and its state", a)
			}
		})
	}
}

func TestAuthorizeAnswers(t *testing.T) {
	s := start(t, nil)
	t.Run("own rule: a state of 2048 bytes comes back, a longer one is refused without it", func(t *testing.T) {
		p := newPerson(t)
		long := strings.Repeat("s", 2048)
		p.open(s.authorizeURL("basic", url.Values{"state": {long}, "prompt": {"none"}}))
		p.wantError("login_required")
		if p.answer().Get("state") != long {
			t.Error("the state is not what was sent")
		}
		for _, bad := range []string{long + "s", "\xff"} {
			p.open(s.authorizeURL("basic", url.Values{"state": {bad}}))
			p.wantError("invalid_request")
			if p.answer().Has("state") {
				t.Error("what cannot be given back as it came was given back")
			}
		}
		p.open(s.authorizeURL("basic", url.Values{"nonce": {"n\xff"}}))
		p.wantError("invalid_request")
		if p.answer().Get("state") != "the state" {
			t.Error("the state was lost with the nonce")
		}
	})
	t.Run("RFC 9207 §2: a code comes with our name, the state and, as CIS2 sends it, the client", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		p.wantCode()
		if a := p.answer(); a.Get("iss") != s.issuer || a.Get("state") != "the state" || a.Get("client_id") != "basic" || len(a) != 4 {
			t.Errorf("the client got %v", a)
		}
	})
	t.Run("OIDC Core §3.1.2.6: prompt=none is answered though the browser keeps no cookie", func(t *testing.T) {
		p := newPerson(t)
		p.http.Jar = nil
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
		p.wantError("login_required")
		if len(p.hops) != 1 {
			t.Errorf("led by %v", p.hops)
		}
	})
	t.Run("RFC 6749 §3.1.2: the query of a redirect URI stays as it is registered", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"redirect_uri": {callback + "?tenant=a%20b"}}))
		p.signIn(oneRole)
		p.wantCode()
		if last := p.hops[len(p.hops)-1]; !strings.HasPrefix(last, callback+"?tenant=a%20b&") {
			t.Errorf("the person was sent to %s", last)
		}
	})
	t.Run("OIDC Core §3.1.2.1: POST at authorize, and parameters that nobody knows", func(t *testing.T) {
		p := newPerson(t)
		u, err := url.Parse(s.authorizeURL("basic", url.Values{"what": {"ever"}, "display": {"popup"}, "ui_locales": {"x-!"}, "claims_locales": {"cy"}}))
		if err != nil {
			t.Fatal(err)
		}
		p.follow(http.MethodPost, s.issuer+"/authorize", u.Query())
		p.signIn(oneRole)
		p.wantCode()
	})
	t.Run("OAuth Form Post: code and error come by POST, and none is in a URL", func(t *testing.T) {
		for name, change := range map[string]url.Values{
			"code":  {"response_mode": {"form_post"}},
			"error": {"response_mode": {"form_post"}, "prompt": {"none"}, "x": {"1", "2"}},
		} {
			p := newPerson(t)
			p.open(s.authorizeURL("basic", change))
			if name == "code" {
				p.signIn(oneRole)
			}
			got := p.posted()
			if !strings.Contains(p.text(), "go back to Ward list") || !got.Has(name) || got.Get("iss") != s.issuer || got.Get("state") != "the state" || strings.Contains(strings.Join(p.hops, " "), name+"=") {
				t.Errorf("%s: form %v, hops %v", name, got, p.hops)
			}
			if policy := p.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https: http://localhost:1;") {
				t.Errorf("%s: the page's policy would stop the form: %s", name, policy)
			}
		}
	})
}

func TestTokenRefusals(t *testing.T) {
	s := start(t, nil)
	post := func(body, contentType, path string) answered {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		return do(t, req)
	}
	const form = "application/x-www-form-urlencoded"
	t.Run("RFC 6749 §2.3: only by the method that the client is registered for", func(t *testing.T) {
		asPost := url.Values{"client_id": {"basic"}, "client_secret": {clientSecret}}
		s.redeem(t, "", "x", asPost).wantError(t, http.StatusUnauthorized, "invalid_client")
		s.redeem(t, "post", "x", nil).wantError(t, http.StatusUnauthorized, "invalid_client")
		s.redeem(t, "", "x", url.Values{"client_id": {"basic"}}).wantError(t, http.StatusUnauthorized, "invalid_client")
		s.redeem(t, "public", "x", nil).wantError(t, http.StatusUnauthorized, "invalid_client")
		s.redeem(t, "basic", "x", asPost).wantError(t, http.StatusBadRequest, "invalid_request")
		s.redeem(t, "basic", "x", url.Values{"client_secret": {"x"}, "client_id": {}}).wantError(t, http.StatusBadRequest, "invalid_request")
		s.redeem(t, "basic", "x", url.Values{"client_id": {"public"}}).wantError(t, http.StatusBadRequest, "invalid_request")
		s.redeem(t, "basic", "x", url.Values{"client_id": {"basic"}}).wantError(t, http.StatusBadRequest, "invalid_grant")
		s.redeem(t, "", "x", url.Values{"client_id": {"public"}}).wantError(t, http.StatusBadRequest, "invalid_grant")
	})
	t.Run("RFC 6749 §5.2: a wrong secret, an unknown client and a key that is none look alike", func(t *testing.T) {
		for _, a := range []answered{
			s.redeem(t, "", "x", url.Values{"client_id": {"post"}, "client_secret": {"wrong"}}),
			s.redeem(t, "nobody", "x", nil),
			s.redeem(t, "signs", "x", nil),
		} {
			a.wantError(t, http.StatusUnauthorized, "invalid_client")
			if len(a.body) != 1 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%v, WWW-Authenticate %q", a.body, a.header.Get("WWW-Authenticate"))
			}
		}
	})
	for grant, client := range map[string]string{"authorization_code": "no-code", "refresh_token": "basic", "client_credentials": "basic", exchangeGrant: "basic"} {
		t.Run("P7: the grant "+grant+" is for who is registered for it", func(t *testing.T) {
			s.redeem(t, client, "x", url.Values{"grant_type": {grant}, "refresh_token": {"x"}, "subject_token": {"x"}, "subject_token_type": {ofAccess}}).
				wantError(t, http.StatusBadRequest, "unauthorized_client")
		})
	}
	t.Run("P22, RFC 6749 §3.2: nothing in the URL, no GET, a form and nothing else", func(t *testing.T) {
		post("", form, "/token?grant_type=authorization_code&client_id=post&client_secret="+clientSecret).wantError(t, http.StatusBadRequest, "invalid_request")
		post(`{"grant_type":"authorization_code"}`, "application/json", "/token").wantError(t, http.StatusBadRequest, "invalid_request")
		post("grant_type=authorization_code&grant_type=x&client_id=post", form, "/token").wantError(t, http.StatusBadRequest, "invalid_request")
		post("", form, "/token").wantError(t, http.StatusBadRequest, "invalid_request")
		post("%zz", form, "/token").wantError(t, http.StatusBadRequest, "invalid_request")
		post("a="+strings.Repeat("x", 1<<20), form, "/token").wantError(t, http.StatusBadRequest, "invalid_request")
		req := request(t, http.MethodGet, s.issuer+"/token", nil, "")
		if a := do(t, req); a.status != http.StatusMethodNotAllowed {
			t.Errorf("GET at the token endpoint: %d", a.status)
		}
	})
	for _, grant := range []string{"password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:device_code", "x"} {
		t.Run("P6: there is no grant "+grant, func(t *testing.T) {
			s.redeem(t, "exchanges", "x", url.Values{"grant_type": {grant}, "username": {oneRole}, "password": {passcode}, "assertion": {"x"}, "device_code": {"x"}}).
				wantError(t, http.StatusBadRequest, "unsupported_grant_type")
		})
	}
	t.Run("RFC 6749 §5.2: a header that cannot be read is a client that is not known", func(t *testing.T) {
		for _, header := range []string{"Basic x", "Basic JXp6Ong=", "Bearer x", "x"} {
			req := request(t, http.MethodPost, s.issuer+"/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {callback}}, "")
			req.Header.Set("Authorization", header)
			a := do(t, req)
			a.wantError(t, http.StatusUnauthorized, "invalid_client")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: no WWW-Authenticate", header)
			}
		}
	})
	t.Run("P21: what came is not repeated", func(t *testing.T) {
		for _, form := range []url.Values{{"grant_type": {"<é\n\">"}}, {"client_assertion_type": {"<é>"}, "client_assertion": {"x"}}} {
			a := s.redeem(t, "basic", "x", form)
			if text := fmt.Sprint(a.body); a.status != http.StatusBadRequest || strings.Contains(text, "é") {
				t.Errorf("%d, %s", a.status, text)
			}
		}
	})
	t.Run("RFC 6750 §2.3: an access token in the URL is refused", func(t *testing.T) {
		twice := request(t, http.MethodPost, s.issuer+"/userinfo", url.Values{"access_token": {"x"}}, "x")
		do(t, twice).wantError(t, http.StatusBadRequest, "invalid_request")
		post("", form, "/userinfo?access_token=x").wantError(t, http.StatusBadRequest, "invalid_request")
	})
	t.Run("RFC 6750 §3: 401 says how", func(t *testing.T) {
		req := request(t, http.MethodGet, s.issuer+"/userinfo", nil, "")
		if a := do(t, req); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("without a token: %d, %q", a.status, a.header.Get("WWW-Authenticate"))
		}
		if a := s.userinfo(t, "x"); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
			t.Errorf("with a wrong token: %d, %q", a.status, a.header.Get("WWW-Authenticate"))
		}
	})
}

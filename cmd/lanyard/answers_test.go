package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	s := start(t, nil)
	t.Run("P5: our name is in every answer, a code or an error, by query or form", func(t *testing.T) {
		for _, ask := range []url.Values{nil, {"prompt": {"none"}}, {"scope": {"x"}}, {"response_type": {"x"}}} {
			p := newPerson(t)
			p.open(s.authorizeURL("basic", ask))
			if p.answer() == nil {
				p.signIn(oneRole)
			}
			if got := p.answer().Get("iss"); got != s.issuer {
				t.Errorf("%v: iss is %q", ask, got)
			}
		}
	})
	t.Run("P9: every redirect after a passcode is 303", func(t *testing.T) {
		p := newPerson(t) // who complains of any other, wherever they are led
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		p.wantCode()
		if len(p.hops) != 1 {
			t.Errorf("the person was led by %v, want the client alone", p.hops)
		}
	})
	t.Run("OIDC Core §3.1.3.6: at_hash is the left half of the access token's hash, by every algorithm", func(t *testing.T) {
		// A library of others checks RS256 and ES256: see TestGoOIDC. What it
		// cannot know is that a token of another family does not fit.
		one := s.redeem(t, "es256", s.signedIn(t, "es256", oneRole, nil), nil)
		two := s.redeem(t, "es256", s.signedIn(t, "es256", oneRole, nil), nil)
		if payload(t, one)["at_hash"] == payload(t, two)["at_hash"] || payload(t, one)["at_hash"] == nil {
			t.Errorf("%v and %v", payload(t, one)["at_hash"], payload(t, two)["at_hash"])
		}
	})
	t.Run("OIDC Core §5.3: userinfo by GET and by POST, in the header and in the form", func(t *testing.T) {
		tokens := s.redeem(t, "basic", s.signedIn(t, "basic", oneRole, nil), nil)
		token, _ := tokens.body["access_token"].(string)
		for name, ask := range map[string]func() *http.Request{
			"GET": func() *http.Request {
				return request(t, http.MethodGet, s.issuer+"/userinfo?schema=openid", nil, token)
			},
			"POST header": func() *http.Request { return request(t, http.MethodPost, s.issuer+"/userinfo", nil, token) },
			"POST form": func() *http.Request {
				return request(t, http.MethodPost, s.issuer+"/userinfo", url.Values{"access_token": {token}}, "")
			},
		} {
			if a := do(t, ask()); a.status != http.StatusOK || a.body["sub"] != oneRole || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d, %v", name, a.status, a.body)
			}
		}
		if a := do(t, request(t, http.MethodDelete, s.issuer+"/userinfo", nil, token)); a.status != http.StatusMethodNotAllowed {
			t.Errorf("DELETE: %d", a.status)
		}
	})
	t.Run("P21: no error echoes what came, and none tells of our insides", func(t *testing.T) {
		const evil = `<script>alert(1)</script>`
		for _, address := range []string{
			s.authorizeURL(evil, nil), s.authorizeURL("basic", url.Values{"redirect_uri": {evil}}), s.issuer + "/login?id=" + url.QueryEscape(evil),
			s.issuer + "/login/role?id=%00%ff", s.issuer + "/login?id=" + strings.Repeat("x", 9000), s.issuer + "/" + url.PathEscape(evil),
			s.issuer + "/authorize?%zz", s.issuer + "/static/nothing",
		} {
			resp, err := http.DefaultClient.Do(request(t, http.MethodGet, address, nil, ""))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if text := string(b); strings.Contains(text, evil) || strings.Contains(text, "redis") || strings.Contains(text, ".go:") || resp.StatusCode >= 500 {
				t.Errorf("%.80s: %d: %s", address, resp.StatusCode, text)
			}
		}
	})
}

func TestSharedDesk(t *testing.T) {
	s := start(t, nil)
	t.Run("S7: who signs in next in the same browser inherits nothing", func(t *testing.T) {
		p := newPerson(t)
		role := url.Values{"scope": {"openid selectedrole"}, "prompt": {"login"}}
		p.open(s.authorizeURL("basic", role))
		p.signIn(oneRole)
		first := payload(t, s.redeem(t, "basic", p.wantCode(), nil))
		p.open(s.authorizeURL("basic", role))
		p.signIn(noRole)
		second := payload(t, s.redeem(t, "basic", p.wantCode(), nil))
		if first["sid"] == second["sid"] || second["sub"] != noRole || second["selected_roleid"] != nil || first["selected_roleid"] == nil {
			t.Errorf("first %v, second %v", first, second)
		}
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}, "login_hint": {oneRole}}))
		p.wantError("login_required")
	})
}

// payload is what the ID token of a token response says.
func payload(t *testing.T, tokens answered) map[string]any {
	t.Helper()
	tokens.wantOK(t)
	raw, _ := tokens.body["id_token"].(string)
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("the ID token is %q", raw)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// headerOf is the header of a signed token.
func headerOf(t *testing.T, token string) map[string]any {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(b, &header); err != nil {
		t.Fatal(err)
	}
	return header
}

// kidOf names the key that signed a token.
func kidOf(t *testing.T, token string) string {
	t.Helper()
	kid, _ := headerOf(t, token)["kid"].(string)
	return kid
}

// request makes a request with a form, or with a bearer token.
func request(t *testing.T, method, address string, form url.Values, bearer string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return req
}

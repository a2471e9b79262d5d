package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// cookies are those of the person's browser whose names begin so.
func (p *person) cookies(s running, name string) []*http.Cookie {
	p.t.Helper()
	at, err := url.Parse(s.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.DeleteFunc(p.http.Jar.Cookies(at), func(c *http.Cookie) bool { return !strings.HasPrefix(c.Name, name) })
}

// atEnd begins a login in a window of its own, signs in in another, and returns
// the address of the first: its person has not gone to where its code is yet.
func (p *person) atEnd(s running) string {
	p.t.Helper()
	p.open(s.authorizeURL("basic", nil))
	login := p.at.String()
	p.open(s.authorizeURL("basic", nil))
	p.signIn(oneRole)
	p.wantCode()
	return login
}

func TestThief(t *testing.T) {
	s := start(t, nil)
	at, err := url.Parse(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	for name, guess := range map[string]string{"without the login's cookie": "", "with a guess at the login's cookie": "guess"} {
		t.Run("own rule: a stolen session gets nobody's code, "+name, func(t *testing.T) {
			p, thief := newPerson(t), newPerson(t)
			login := p.atEnd(s)
			thief.http.Jar.SetCookies(at, p.cookies(s, "lanyard-session"))
			for _, c := range p.cookies(s, "lanyard-login-") {
				if guess != "" {
					thief.http.Jar.SetCookies(at, []*http.Cookie{{Name: c.Name, Value: guess, Path: "/"}})
				}
			}
			thief.open(login)
			thief.wantPage(http.StatusBadRequest, "SES-02")
			if len(thief.hops) != 0 {
				t.Errorf("the thief is led on to %q", thief.hops)
			}

			p.open(login)
			p.wantCode()
		})
	}
}

func TestAfterwards(t *testing.T) {
	s := start(t, nil)
	t.Run("own rule: a login that is over leaves no cookie behind, whatever its answer", func(t *testing.T) {
		for name, act := range map[string]func(*person){
			"code": func(p *person) { p.open(s.authorizeURL("basic", nil)); p.signIn(oneRole); p.wantCode() },
			"cancelled": func(p *person) {
				p.open(s.authorizeURL("basic", nil))
				p.send("/login/cancel", nil)
				p.wantError("access_denied")
			},
			"at once": func(p *person) {
				p.open(s.authorizeURL("basic", url.Values{"acr_values": {"AAL3_FIDO2"}}))
				p.wantError("unmet_authentication_requirements")
			},
		} {
			p := newPerson(t)
			act(p)
			if left := p.cookies(s, "lanyard-login-"); len(left) != 0 {
				t.Errorf("%s: %d cookies are left", name, len(left))
			}
		}
	})
	t.Run("P10: the application is not told where the person came from", func(t *testing.T) {
		for _, ask := range []url.Values{nil, {"prompt": {"none"}}, {"scope": {"x"}}} {
			p := newPerson(t)
			p.open(s.authorizeURL("basic", ask))
			if p.answer() == nil {
				p.signIn(oneRole)
			}
			if got := p.header.Get("Referrer-Policy"); p.answer() == nil || got != "no-referrer" {
				t.Errorf("%v: Referrer-Policy is %q on the way to the application", ask, got)
			}
		}
	})
	t.Run("P20: no script of another origin reads what a page answers", func(t *testing.T) {
		for _, address := range []string{s.authorizeURL("basic", nil), s.issuer + "/authorize", s.issuer + "/login?id=x", s.issuer + "/"} {
			req := request(t, http.MethodGet, address, nil, "")
			req.Header.Set("Origin", "https://app.example")
			if got := do(t, req).header.Values("Access-Control-Allow-Origin"); len(got) != 0 {
				t.Errorf("%.60s: Access-Control-Allow-Origin is %v", address, got)
			}
		}
	})
	t.Run("RFC 6750 §3.1: an access token lives for the hour that was said", func(t *testing.T) {
		tokens := s.redeem(t, "basic", s.signedIn(t, "basic", oneRole, nil), nil)
		tokens.wantOK(t)
		token, _ := tokens.body["access_token"].(string)
		s.advance(t, "59m")
		s.userinfo(t, token).wantOK(t)
		s.advance(t, "1m")
		s.userinfo(t, token).wantError(t, http.StatusUnauthorized, "invalid_token")
	})
}

// advance moves the service's clock on.
func (s running) advance(t *testing.T, by string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin(s.issuer)+"/dev/clock", strings.NewReader(`{"advance":"`+by+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	do(t, req).wantOK(t)
}

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestLanguage(t *testing.T) {
	s := start(t, nil)
	t.Run("language: a page is in the person's language, or the browser's, or English", func(t *testing.T) {
		for accept, want := range map[string]string{"": "en", "fr": "en", "*": "en", ";;": "en", "en-GB,cy;q=0.9": "en", "cy": "cy", "cy-GB,cy;q=0.9,en;q=0.8": "cy", "fr,cy;q=0.3": "cy"} {
			p := newPerson(t)
			p.accept = accept
			p.open(s.authorizeURL("basic", nil))
			if p.language() != want || !strings.Contains(p.header.Get("Vary"), "Accept-Language, Cookie") {
				t.Errorf("Accept-Language %q: the page is in %q, want %q; Vary %q", accept, p.language(), want, p.header.Get("Vary"))
			}
			other := map[string]string{"en": "cy", "cy": "en"}[want]
			p.send("/language", url.Values{"to": {other}})
			if p.language() != other {
				t.Errorf("Accept-Language %q: the page is in %q, although %q was chosen", accept, p.language(), other)
			}
			p.open(s.issuer + "/dev")
			if p.language() != other {
				t.Errorf("the choice was forgotten: %q", p.language())
			}
		}
	})
	t.Run("OIDC Core §3.1.2.1: ui_locales asks for a language, and one that we have not is no error", func(t *testing.T) {
		for wanted, want := range map[string]string{"": "en", "cy": "cy", "cy-GB": "cy", "CY": "cy", "fr cy en": "cy", "en-GB cy": "en", "fr": "en", "cymraeg": "en", "-": "en"} {
			p := newPerson(t)
			p.open(s.authorizeURL("basic", url.Values{"ui_locales": {wanted}}))
			if p.status != http.StatusOK || p.language() != want {
				t.Errorf("ui_locales %q: status %d, in %q, want %q", wanted, p.status, p.language(), want)
			}
		}
	})
	t.Run("language: the person's choice comes before the application's, and that before the browser's", func(t *testing.T) {
		p := newPerson(t)
		p.accept = "en"
		p.open(s.authorizeURL("basic", url.Values{"ui_locales": {"cy"}, "response_mode": {"form_post"}}))
		p.wantPage(http.StatusOK, "Mewngofnodi i Ward list")
		login := p.at.String()
		p.link("card=" + card(unknown))
		p.wantPage(http.StatusForbidden, "Nid ydym yn adnabod y cerdyn hwn")
		p.open(login)
		p.signIn(oneRole)
		p.wantPage(http.StatusOK, "Yn dychwelyd i'r rhaglen")
		p.open(s.issuer)
		p.send("/language", url.Values{"to": {"en"}})
		p.open(s.authorizeURL("basic", url.Values{"ui_locales": {"cy"}, "prompt": {"login"}}))
		p.wantPage(http.StatusOK, "Sign in to Ward list")
	})
	t.Run("OIDC Discovery §4: the languages of the pages are listed", func(t *testing.T) {
		d := do(t, request(t, http.MethodGet, s.issuer+"/.well-known/openid-configuration", nil, ""))
		if got := fmt.Sprint(d.body["ui_locales_supported"]); got != "[en cy]" {
			t.Errorf("ui_locales_supported is %s", got)
		}
	})
	t.Run("language: choosing one keeps the place in the login", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.send("/language", url.Values{"to": {"cy"}})
		p.wantPage(http.StatusOK, "Mewngofnodi i Ward list")
		p.link("card=" + card(fiveRoles))
		p.send("/language", url.Values{"to": {"en"}})
		p.wantPage(http.StatusOK, "Enter the passcode")
		p.send("/login/smartcard/virtual", url.Values{"passcode": {"999999"}})
		p.send("/language", url.Values{"to": {"cy"}})
		p.wantPage(http.StatusOK, "Mae gennych 2 ymgais ar ôl.")
		p.send("/login/smartcard/virtual", url.Values{"passcode": {passcode}})
		p.wantPage(http.StatusOK, "Dewiswch rôl i weithio ynddi")
		p.send("/login/role", nil)
		p.wantPage(http.StatusBadRequest, "Mae problem wedi codi")
		p.send("/language", url.Values{"to": {"en"}})
		p.wantPage(http.StatusOK, "Choose a role to work in")
	})
	t.Run("language: none is offered where the page cannot be shown again", func(t *testing.T) {
		offers := func(p *person) bool { return strings.Contains(p.html(), `action="/language"`) }
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(closed)
		p.wantPage(http.StatusForbidden, "PRF-01")
		if offers(p) {
			t.Error("the same address again would lead to the application")
		}
		p = newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"response_mode": {"form_post"}}))
		p.signIn(oneRole)
		if offers(p) {
			t.Error("the answer to the application is given once")
		}
		p.open(s.issuer + "/login?id=x")
		p.wantPage(http.StatusBadRequest, "SES-01")
		p.send("/language", url.Values{"to": {"cy"}})
		p.wantPage(http.StatusBadRequest, "Bu'r dudalen hon ar agor yn rhy hir")
	})
	t.Run("language: one that we have not is not chosen, and no way leads elsewhere", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.issuer)
		p.send("/language", url.Values{"to": {"fr"}})
		p.wantPage(http.StatusNotFound, "NOT-01")
		p.open(s.issuer)
		p.send("/language", url.Values{"to": {"cy"}, "back": {"//evil.example"}})
		if len(p.hops) != 1 || p.hops[0] != "/" {
			t.Errorf("led to %v", p.hops)
		}
	})
}

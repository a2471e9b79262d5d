package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// goApplication is an application in Go as most are: go-oidc and x/oauth2, and
// nothing of its own. It keeps the provider, with its keys, for its life.
type goApplication struct {
	running
	oauth2.Config
	provider *oidc.Provider
	keysRead *atomic.Int32 // how often it asked for the keys
}

func aGoApplication(t *testing.T, s running, client string) goApplication {
	t.Helper()
	var counted counting
	outside := oidc.ClientContext(context.Background(), &http.Client{Transport: &counted, Timeout: 10 * time.Second})
	provider, err := oidc.NewProvider(outside, s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	return goApplication{running: s, provider: provider, keysRead: &counted.keys, Config: oauth2.Config{ClientID: client, ClientSecret: clientSecret,
		RedirectURL: callback, Endpoint: provider.Endpoint(), Scopes: []string{"openid", "profile", "nationalrbacaccess", "selectedrole"}}}
}

// counting counts how often the keys are asked for.
type counting struct{ keys atomic.Int32 }

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "jwk") {
		c.keys.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// signIn takes somebody through a whole sign-in, with PKCE.
func (a goApplication) signIn(t *testing.T) (code, proof string, token *oauth2.Token) {
	t.Helper()
	proof = oauth2.GenerateVerifier()
	p := newPerson(t)
	p.open(a.AuthCodeURL("s", oidc.Nonce("n"), oauth2.S256ChallengeOption(proof)))
	p.signIn(oneRole)
	code = p.wantCode()
	token, err := a.Exchange(t.Context(), code, oauth2.VerifierOption(proof))
	if err != nil {
		t.Fatal(err)
	}
	return code, proof, token
}

// verify checks the ID token that came with a token.
func (a goApplication) verify(t *testing.T, token *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := a.provider.Verifier(&oidc.Config{ClientID: a.ClientID}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Error(err)
	}
	return id
}

// rotate lets new keys sign, as a test of an application does.
func (s running) rotate(t *testing.T) {
	t.Helper()
	do(t, request(t, http.MethodPost, origin(s.issuer)+"/dev/keys/rotate", nil, "")).wantOK(t)
}

func TestGoApplication(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"standard", "cis2"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			goApplicationWorks(t, start(t, func(o *devOptions) { o.layout = layout }))
		})
	}
}

func goApplicationWorks(t *testing.T, s running) {
	t.Helper()
	a := aGoApplication(t, s, "renews")
	t.Run("RFC 6749 §6: its token source renews a token that has ended, and who signed in stays the same", func(t *testing.T) {
		_, _, token := a.signIn(t)
		verified(t, a.provider, &a.Config, token)
		before, old := a.verify(t, token), *token
		token.Expiry = time.Now().Add(-time.Second) // it cannot be made to wait an hour
		renewed, err := a.TokenSource(t.Context(), token).Token()
		if err != nil {
			t.Fatal(err)
		}
		after := a.verify(t, renewed)
		if renewed.AccessToken == old.AccessToken || renewed.RefreshToken == old.RefreshToken || after.Subject != before.Subject || after.Issuer != before.Issuer {
			t.Errorf("renewed %+v, about %s and then %s", renewed, before.Subject, after.Subject)
		}
		info, err := a.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(renewed))
		if err != nil || info.Subject != before.Subject {
			t.Errorf("userinfo: %+v, %v", info, err)
		}
	})
	t.Run("RFC 6749 §4.1.2: a code that it shows twice is refused, and what the first gave has ended", func(t *testing.T) {
		code, proof, token := a.signIn(t)
		_, err := a.Exchange(t.Context(), code, oauth2.VerifierOption(proof))
		if no, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || no.ErrorCode != "invalid_grant" {
			t.Errorf("the second time: %v", err)
		}
		if _, err := a.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
			t.Error("the access token lives on")
		}
		token.Expiry = time.Now().Add(-time.Second)
		if _, err := a.TokenSource(t.Context(), token).Token(); err == nil {
			t.Error("the refresh token lives on")
		}
	})
	t.Run("keys: when they change it asks for them once more, and what the old ones signed is believed on", func(t *testing.T) {
		_, _, token := a.signIn(t)
		read := a.keysRead.Load()
		for range 2 {
			s.rotate(t)
			_, _, fresh := a.signIn(t)
			a.verify(t, fresh)
			a.verify(t, token)
			fresh.Expiry = time.Now().Add(-time.Second)
			renewed, err := a.TokenSource(t.Context(), fresh).Token()
			if err != nil {
				t.Fatal(err)
			}
			a.verify(t, renewed)
		}
		if asked := a.keysRead.Load() - read; asked != 2 {
			t.Errorf("it asked %d times, want once each time", asked)
		}
	})
}

func TestGoApplicationSignsOut(t *testing.T) { onEveryStage(t, goApplicationSignsOut) }

func goApplicationSignsOut(t *testing.T, s running) {
	t.Helper()
	a := aGoApplication(t, s, "told")
	var more struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := a.provider.Claims(&more); err != nil {
		t.Fatal(err)
	}
	// over checks that who is signed in at the browser is told of by the back
	// channel once act has ended the session, and that its tokens are over.
	over := func(t *testing.T, act func(p *person, idToken string)) {
		t.Helper()
		p := newPerson(t)
		p.open(a.AuthCodeURL("s", oidc.Nonce("n")))
		p.signIn(oneRole)
		token, err := a.Exchange(t.Context(), p.wantCode())
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ Sid string }
		if err := a.verify(t, token).Claims(&claims); err != nil {
			t.Fatal(err)
		}
		idToken, _ := token.Extra("id_token").(string)
		act(p, idToken)
		told, err := a.provider.Verifier(&oidc.Config{ClientID: a.ClientID}).VerifyLogout(t.Context(), ears().wantTold(t, claims.Sid).token)
		if err != nil || told.SessionID != claims.Sid || told.Subject != oneRole {
			t.Errorf("it is told %+v, %v", told, err)
		}
		if _, err := a.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
			t.Error("the access token lives on")
		}
	}
	t.Run("OIDC RP-Initiated Logout §2: it signs people out, who come back to it", func(t *testing.T) {
		over(t, func(p *person, idToken string) {
			p.open(more.EndSession + "?" + url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}.Encode())
			if p.wentTo() != signedOutAt+"?state=s" || p.silent(s) {
				t.Errorf("it leads to %q", p.wentTo())
			}
		})
	})
	t.Run("OIDC Back-Channel Logout §2.5: it hears that a person signed out elsewhere", func(t *testing.T) {
		over(t, func(p *person, _ string) {
			p.open(s.issuer + "/account")
			p.send("/login/change", nil)
		})
	})
}

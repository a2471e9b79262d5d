package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// TestGoOIDC signs in at a relying party that is built on another library and
// knows nothing of us.
func TestGoOIDC(t *testing.T) { onEveryStage(t, goOIDC) }

func goOIDC(t *testing.T, s running) {
	t.Helper()
	for _, tt := range []struct {
		client string
		style  oauth2.AuthStyle
		pkce   bool
	}{
		{"basic", oauth2.AuthStyleInHeader, true},
		{"basic", oauth2.AuthStyleInHeader, false},
		{"post", oauth2.AuthStyleInParams, true},
		{"post", oauth2.AuthStyleInParams, false},
		{"es256", oauth2.AuthStyleInHeader, true},
		{"public", oauth2.AuthStyleInParams, true},
	} {
		t.Run(fmt.Sprintf("OIDC Core §3.1: %s, PKCE %v", tt.client, tt.pkce), func(t *testing.T) {
			provider, err := oidc.NewProvider(t.Context(), s.issuer)
			if err != nil {
				t.Fatal(err)
			}
			c := oauth2.Config{ClientID: tt.client, ClientSecret: clientSecret, RedirectURL: callback, Endpoint: provider.Endpoint(),
				Scopes: []string{"openid", "profile", "nationalrbacaccess", "selectedrole"}}
			c.Endpoint.AuthStyle = tt.style
			if tt.client == "public" {
				c.ClientSecret = ""
			}
			ask, show := []oauth2.AuthCodeOption{oidc.Nonce("n")}, []oauth2.AuthCodeOption{}
			if tt.pkce {
				v := oauth2.GenerateVerifier()
				ask, show = append(ask, oauth2.S256ChallengeOption(v)), append(show, oauth2.VerifierOption(v))
			}
			p := newPerson(t)
			p.open(c.AuthCodeURL("s", ask...))
			p.signIn(oneRole)
			if a := p.answer(); a.Get("state") != "s" || a.Get("iss") != s.issuer {
				t.Errorf("the callback got %v", a)
			}
			token, err := c.Exchange(t.Context(), p.wantCode(), show...)
			if err != nil {
				t.Fatal(err)
			}
			verified(t, provider, &c, token)
		})
	}
}

// verified checks what a relying party checks.
func verified(t *testing.T, provider *oidc.Provider, c *oauth2.Config, token *oauth2.Token) {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(context.Background(), &oidc.Config{ClientID: c.ClientID}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Error(err)
	}
	info, err := provider.UserInfo(t.Context(), c.TokenSource(t.Context(), token))
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Role  string `json:"selected_roleid"`
		Roles []struct {
			ID string `json:"person_roleid"`
		} `json:"nhsid_nrbac_roles"`
	}
	if err := info.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if info.Subject != id.Subject || id.Subject != oneRole || id.Nonce != "n" || len(claims.Roles) != 1 || claims.Role != claims.Roles[0].ID {
		t.Errorf("ID token of %s, userinfo of %s: %+v", id.Subject, info.Subject, claims)
	}
}

func TestTokenResponse(t *testing.T) { onEveryStage(t, tokenResponse) }

func tokenResponse(t *testing.T, s running) {
	t.Helper()
	tokens := s.redeem(t, "basic", s.signedIn(t, "basic", oneRole, nil), nil)
	tokens.wantOK(t)
	t.Run("RFC 6749 §5.1: the members that it must have, and never cached", func(t *testing.T) {
		if tokens.body["token_type"] != "Bearer" || tokens.body["expires_in"] != 3600.0 || tokens.body["scope"] != "openid profile" {
			t.Errorf("%v", tokens.body)
		}
		if cache := tokens.header.Get("Cache-Control"); cache != "no-store" {
			t.Errorf("Cache-Control is %q", cache)
		}
	})
	t.Run("CIS2: aud of the ID token is one string, levels are digits in text", func(t *testing.T) {
		claims := payload(t, tokens)
		for name, want := range map[string]any{"aud": "basic", "azp": "basic", "sub": oneRole, "nonce": "the nonce", "acr": "AAL3_ANY",
			"authentication_assurance_level": "3", "id_assurance_level": "3", "iss": s.issuer} {
			if claims[name] != want {
				t.Errorf("%s is %v, want %v", name, claims[name], want)
			}
		}
		if _, has := claims["name"]; has {
			t.Error("the ID token carries a claim of userinfo")
		}
	})
	t.Run("S1: the access token has 256 random bits and more", func(t *testing.T) {
		if token, _ := tokens.body["access_token"].(string); len(token) < 43 {
			t.Errorf("it has %d characters", len(token))
		}
	})
}

// another is a code with another last letter.
func another(code string) string {
	last := "A"
	if strings.HasSuffix(code, last) {
		last = "Q"
	}
	return code[:len(code)-1] + last
}

func TestCode(t *testing.T) { onEveryStage(t, redeemCodes) }

func redeemCodes(t *testing.T, s running) {
	t.Helper()
	t.Run("RFC 6749 §4.1.2: of 50 at once one gets tokens, and the second use ends them", func(t *testing.T) {
		code := s.signedIn(t, "basic", oneRole, nil)
		answers := make(chan answered, 50)
		var wg sync.WaitGroup
		for range cap(answers) {
			wg.Go(func() { answers <- s.redeem(t, "basic", code, nil) })
		}
		wg.Wait()
		close(answers)
		var token string
		for a := range answers {
			if a.status == http.StatusOK {
				if token != "" {
					t.Error("two redeemers got tokens")
				}
				token, _ = a.body["access_token"].(string)
				continue
			}
			a.wantError(t, http.StatusBadRequest, "invalid_grant")
		}
		if token == "" {
			t.Fatal("nobody got tokens")
		}
		s.userinfo(t, token).wantError(t, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("P4: a code of another client, redirect URI or verifier is refused and not consumed", func(t *testing.T) {
		code := s.signedIn(t, "basic", oneRole, nil)
		for name, try := range map[string]answered{
			"client":      s.redeem(t, "pkce", code, nil),
			"redirect":    s.redeem(t, "basic", code, url.Values{"redirect_uri": {callback + "/"}}),
			"verifier":    s.redeem(t, "basic", code, url.Values{"code_verifier": {verifier + "x"}}),
			"no verifier": s.redeem(t, "basic", code, url.Values{"code_verifier": {""}}),
			"code":        s.redeem(t, "basic", another(code), nil),
		} {
			if try.status != http.StatusBadRequest || try.body["error"] != "invalid_grant" {
				t.Errorf("another %s: %d, %v", name, try.status, try.body["error"])
			}
		}
		s.redeem(t, "basic", code, nil).wantOK(t)
	})
	t.Run("P3: a verifier without a challenge is refused", func(t *testing.T) {
		none := url.Values{"code_challenge": {""}, "code_challenge_method": {""}}
		code := s.signedIn(t, "basic", oneRole, none)
		s.redeem(t, "basic", code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
		s.redeem(t, "basic", code, url.Values{"code_verifier": {""}}).wantOK(t)
	})
	t.Run("P12: an ID token and a code are no access tokens", func(t *testing.T) {
		code := s.signedIn(t, "basic", oneRole, nil)
		tokens := s.redeem(t, "basic", code, nil)
		tokens.wantOK(t)
		idToken, _ := tokens.body["id_token"].(string)
		for _, v := range []string{code, idToken, "", "x"} {
			if a := s.userinfo(t, v); a.status != http.StatusUnauthorized {
				t.Errorf("userinfo for %.10s…: %d", v, a.status)
			}
		}
		access, _ := tokens.body["access_token"].(string)
		s.redeem(t, "basic", access, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
		s.userinfo(t, access).wantOK(t)
	})
}

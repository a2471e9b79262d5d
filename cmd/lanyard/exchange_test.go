package main

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	ofAccess      = "urn:ietf:params:oauth:token-type:access_token"
	ofID          = "urn:ietf:params:oauth:token-type:id_token"
)

// exchange asks for a token in the place of another, as client id with its
// secret by Basic, and what else is given; "" is no client by Basic.
func (s running) exchange(t *testing.T, id, token, kind string, more url.Values) answered {
	t.Helper()
	form := url.Values{"grant_type": {exchangeGrant}, "subject_token": {token}, "subject_token_type": {kind}}
	maps.Copy(form, more)
	req := request(t, http.MethodPost, s.issuer+"/token", form, "")
	if id != "" {
		req.SetBasicAuth(id, clientSecret)
	}
	return do(t, req)
}

// introspect asks what a token stands for.
func (s running) introspect(t *testing.T, id, token string) answered {
	t.Helper()
	req := request(t, http.MethodPost, s.issuer+"/introspect", url.Values{"token": {token}}, "")
	req.SetBasicAuth(id, clientSecret)
	return do(t, req)
}

// said is a member of an answer that is text.
func (a answered) said(member string) string {
	text, _ := a.body[member].(string)
	return text
}

func TestTokenExchange(t *testing.T) { onEveryStage(t, exchangeTokens) }

func exchangeTokens(t *testing.T, s running) {
	t.Helper()
	role := url.Values{"scope": {"openid profile email selectedrole"}}
	tokens := s.redeem(t, "exchanges", s.signedIn(t, "exchanges", oneRole, role), nil)
	tokens.wantOK(t)
	for kind, token := range map[string]string{ofAccess: tokens.said("access_token"), ofID: tokens.said("id_token")} {
		t.Run("RFC 8693 §2.2.1: a token for another client, which learns of it what it is for and nobody else", func(t *testing.T) {
			made := s.exchange(t, "exchanges", token, kind, url.Values{"audience": {"records"}, "requested_token_type": {ofAccess}})
			made.wantOK(t)
			lives, _ := made.body["expires_in"].(float64)
			if made.body["issued_token_type"] != ofAccess || made.body["token_type"] != "Bearer" || made.body["scope"] != "openid profile" || lives < 3500 || lives > 3600 ||
				made.body["refresh_token"] != nil || made.body["id_token"] != nil || made.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v", made.body)
			}
			access, claims := made.said("access_token"), payload(t, tokens)
			for _, client := range []string{"records", "exchanges"} {
				seen := s.introspect(t, client, access)
				for member, want := range map[string]any{"active": true, "client_id": "exchanges", "aud": "records", "sub": oneRole, "scope": "openid profile", "acr": claims["acr"],
					"sid": claims["sid"], "auth_time": claims["auth_time"], "authentication_assurance_level": "3", "selected_roleid": nil} {
					if seen.body[member] != want {
						t.Errorf("%s reads %s: %v, want %v", client, member, seen.body[member], want)
					}
				}
			}
			if seen := s.introspect(t, "basic", access); seen.body["active"] != false || len(seen.body) != 1 {
				t.Errorf("another client reads %v", seen.body)
			}
			if info := s.userinfo(t, access); info.body["sub"] != oneRole || info.body["given_name"] == nil || info.body["email"] != nil || info.body["selected_roleid"] != nil {
				t.Errorf("userinfo says %v", info.body)
			}
		})
	}
	t.Run("P18: for oneself, with fewer scopes; the first goes on as it was, and revoking either ends both", func(t *testing.T) {
		made := s.exchange(t, "exchanges", tokens.said("id_token"), ofID, url.Values{"scope": {"openid"}})
		made.wantOK(t)
		if info := s.userinfo(t, made.said("access_token")); len(info.body) != 1 || info.body["sub"] != oneRole {
			t.Errorf("userinfo says %v", info.body)
		}
		s.userinfo(t, tokens.said("access_token")).wantOK(t)
		req := request(t, http.MethodPost, s.issuer+"/revoke", url.Values{"token": {made.said("access_token")}}, "")
		req.SetBasicAuth("exchanges", clientSecret)
		do(t, req).wantOK(t)
		for _, token := range []string{made.said("access_token"), tokens.said("access_token")} {
			s.userinfo(t, token).wantError(t, http.StatusUnauthorized, "invalid_token")
		}
		s.exchange(t, "exchanges", tokens.said("id_token"), ofID, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	})
	t.Run("CIS2: an ID token for an access token, the client proved by RS512, as clients of NHS APIs ask", func(t *testing.T) {
		code := s.signedIn(t, "exchanges-signs", oneRole, url.Values{"scope": {"openid nationalrbacaccess"}, "max_age": {"300"}})
		idToken := s.redeem(t, "", code, s.anAssertion("exchanges-signs").sign(t)).said("id_token")
		proof := s.anAssertion("exchanges-signs").sign(t)
		made := s.exchange(t, "", idToken, ofID, proof)
		made.wantOK(t)
		if made.said("issued_token_type") != ofAccess || made.said("scope") != "openid nationalrbacaccess" {
			t.Errorf("%v", made.body)
		}
		s.userinfo(t, made.said("access_token")).wantOK(t)
		t.Run("P11: the same assertion once more exchanges nothing", func(t *testing.T) {
			s.exchange(t, "", idToken, ofID, proof).wantError(t, http.StatusUnauthorized, "invalid_client")
		})
	})
}

func TestExchangeRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	tokens := s.redeem(t, "exchanges", s.signedIn(t, "exchanges", oneRole, nil), nil)
	others := s.redeem(t, "es256", s.signedIn(t, "es256", oneRole, nil), nil)
	public := s.redeem(t, "", s.signedIn(t, "exchanges-public", oneRole, nil), url.Values{"client_id": {"exchanges-public"}})
	access, idToken := tokens.said("access_token"), tokens.said("id_token")
	forged := idToken[:len(idToken)-8] + "AAAAAAAA"
	_, rest, _ := strings.Cut(idToken, ".")

	for _, tt := range []struct {
		rule, token, kind string
		more              url.Values
		status            int
		code              string
	}{
		{"RFC 8693 §2.2.2: no subject token", "", ofAccess, nil, 400, "invalid_request"},
		{"RFC 8693 §2.2.2: no type", access, "", nil, 400, "invalid_request"},
		{"RFC 8693 §2.2.2: a type that nobody knows", access, "urn:x", nil, 400, "invalid_request"},
		{"RFC 8693 §2.2.2: a legacy ticket, which no bridge is there for", "ticket", "urn:lanyard:token-type:cis1-sso", nil, 400, "invalid_request"},
		{"RFC 8693 §2.2.2: a refresh token by its own type", tokens.said("refresh_token"), "urn:ietf:params:oauth:token-type:refresh_token", nil, 400, "invalid_request"},
		{"P12: an ID token that is called an access token", idToken, ofAccess, nil, 400, "invalid_request"},
		{"P12: an access token that is called an ID token", access, ofID, nil, 400, "invalid_request"},
		{"P12: a refresh token that is called an access token", tokens.said("refresh_token"), ofAccess, nil, 400, "invalid_request"},
		{"P13: an ID token with another signature", forged, ofID, nil, 400, "invalid_request"},
		{"P13: an ID token that nobody signed", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + rest, ofID, nil, 400, "invalid_request"},
		{"P18: another client's access token", others.said("access_token"), ofAccess, nil, 400, "invalid_request"},
		{"P18: another client's ID token", others.said("id_token"), ofID, nil, 400, "invalid_request"},
		{"P18: an audience that does not name the client", access, ofAccess, url.Values{"audience": {"basic"}}, 400, "invalid_target"},
		{"P18: an audience that is none", access, ofAccess, url.Values{"audience": {"https://api.example"}}, 400, "invalid_target"},
		{"RFC 8693 §2.2.2: two audiences", access, ofAccess, url.Values{"audience": {"records", "exchanges"}}, 400, "invalid_target"},
		{"RFC 8693 §2.2.2: a resource", access, ofAccess, url.Values{"resource": {"https://api.example"}}, 400, "invalid_target"},
		{"P18: a scope that the audience has not", access, ofAccess, url.Values{"audience": {"records"}, "scope": {"openid email"}}, 400, "invalid_scope"},
		{"P18: a scope that the subject token has not", access, ofAccess, url.Values{"scope": {"openid nhsperson"}}, 400, "invalid_scope"},
		{"RFC 8693 §2.1: a token of somebody who acts is refused by name", access, ofAccess, url.Values{"actor_token": {access}, "actor_token_type": {ofAccess}}, 400, "invalid_request"},
		{"RFC 8693 §2.1: an ID token is not given", access, ofAccess, url.Values{"requested_token_type": {ofID}}, 400, "invalid_request"},
		{"RFC 8693 §2.1: nor a refresh token", access, ofAccess, url.Values{"requested_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"}}, 400, "invalid_request"},
		{"RFC 6749 §3.2: what may come once comes once", access, ofAccess, url.Values{"scope": {"openid", "profile"}}, 400, "invalid_request"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s.exchange(t, "exchanges", tt.token, tt.kind, tt.more).wantError(t, tt.status, tt.code)
		})
	}
	t.Run("P18: who asks proves itself, and is registered for it", func(t *testing.T) {
		s.exchange(t, "basic", access, ofAccess, nil).wantError(t, http.StatusBadRequest, "unauthorized_client")
		s.exchange(t, "", public.said("access_token"), ofAccess, url.Values{"client_id": {"exchanges-public"}}).wantError(t, http.StatusBadRequest, "unauthorized_client")
		for name, a := range map[string]answered{
			"nobody":           s.exchange(t, "", access, ofAccess, nil),
			"an unknown one":   s.exchange(t, "nobody", access, ofAccess, nil),
			"a wrong secret":   s.exchange(t, "", access, ofAccess, url.Values{"client_id": {"exchanges-post"}, "client_secret": {"wrong"}}),
			"another's method": s.exchange(t, "", access, ofAccess, url.Values{"client_id": {"exchanges"}, "client_secret": {clientSecret}}),
		} {
			if a.wantError(t, http.StatusUnauthorized, "invalid_client"); !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s: WWW-Authenticate is %q", name, a.header.Get("WWW-Authenticate"))
			}
		}
	})
	t.Run("own rule: a secret in the form proves a client too, and an empty audience is none", func(t *testing.T) {
		code := s.signedIn(t, "exchanges-post", oneRole, nil)
		proof := url.Values{"client_id": {"exchanges-post"}, "client_secret": {clientSecret}}
		mine := s.redeem(t, "", code, proof)
		proof.Set("audience", "")
		s.exchange(t, "", mine.said("access_token"), ofAccess, proof).wantOK(t)
	})
	t.Run("own rule: an ID token has a name where it may be exchanged, and each its own", func(t *testing.T) {
		again := s.redeem(t, "exchanges", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.said("refresh_token")}})
		one, two, none := payload(t, tokens)["jti"], payload(t, again)["jti"], payload(t, others)["jti"]
		if one == nil || one == two || none != nil || idp.FamilyOf(one.(string)) != idp.FamilyOf(two.(string)) {
			t.Errorf("%v, %v and %v", one, two, none)
		}
		s.exchange(t, "exchanges", again.said("id_token"), ofID, nil).wantOK(t)
		s.userinfo(t, one.(string)).wantError(t, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("P18: a session that its person left exchanges nothing more", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("exchanges", nil))
		p.signIn(oneRole)
		left := s.redeem(t, "exchanges", p.wantCode(), nil)
		p.open(s.authorizeURL("exchanges", url.Values{"prompt": {"login"}}))
		p.signIn(noRole) // takes over the desk
		for kind, token := range map[string]string{ofAccess: left.said("access_token"), ofID: left.said("id_token")} {
			s.exchange(t, "exchanges", token, kind, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		}
	})
}

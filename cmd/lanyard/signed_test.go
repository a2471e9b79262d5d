package main

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// hashes are those of the algorithms that we sign with. OIDC Core §3.1.3.6;
// Ed25519 hashes with SHA-512.
var hashes = map[string]crypto.Hash{"RS256": crypto.SHA256, "RS512": crypto.SHA512, "PS256": crypto.SHA256, "ES256": crypto.SHA256, "EdDSA": crypto.SHA512}

// published are the keys that a client verifies with.
func (s running) published(t *testing.T) jose.JSONWebKeySet {
	t.Helper()
	resp, err := http.DefaultClient.Do(request(t, http.MethodGet, s.issuer+"/jwks", nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return set
}

// signedBy is what a token says that must be signed so.
func signedBy(t *testing.T, keys jose.JSONWebKeySet, alg, token string) map[string]any {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatalf("%s: %v: %.60s", alg, err, token)
	}
	text, err := jws.Verify(keys)
	if err != nil {
		t.Fatalf("%s: %v", alg, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestSigned(t *testing.T) {
	s := start(t, nil)
	keys := s.published(t)
	meta := do(t, request(t, http.MethodGet, s.issuer+"/.well-known/openid-configuration", nil, ""))
	meta.wantOK(t)
	for alg, hash := range hashes {
		id := "all-" + alg
		tokens := s.redeem(t, id, s.signedIn(t, id, oneRole, nil), nil)
		tokens.wantOK(t)
		access, _ := tokens.body["access_token"].(string)
		idToken, _ := tokens.body["id_token"].(string)

		t.Run("OIDC Core §3.1.3.6: an ID token by "+alg+", which discovery lists, with its own at_hash", func(t *testing.T) {
			claims := signedBy(t, keys, alg, idToken)
			h := hash.New()
			_, _ = io.WriteString(h, access)
			if want := base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:hash.Size()/2]); claims["at_hash"] != want {
				t.Errorf("at_hash is %v, want %s", claims["at_hash"], want)
			}
			for _, listed := range []string{"id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported"} {
				if algs, _ := meta.body[listed].([]any); !slices.Contains(algs, any(alg)) {
					t.Errorf("%s lists %v", listed, algs)
				}
			}
		})
		t.Run("OIDC Core §5.3.2: userinfo by "+alg+" is a JWT that says who it is from and for", func(t *testing.T) {
			resp, err := http.DefaultClient.Do(request(t, http.MethodPost, s.issuer+"/userinfo", url.Values{"access_token": {access}}, ""))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.Header.Get("Content-Type") != "application/jwt" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%v, %v", err, resp.Header)
			}
			claims := signedBy(t, keys, alg, string(text))
			if claims["iss"] != s.issuer || claims["aud"] != id || claims["sub"] != oneRole || claims["given_name"] == nil || claims["exp"] != nil {
				t.Errorf("it says %v", claims)
			}
			t.Run("P12: it is no access token, no ID token and no proof of a client", func(t *testing.T) {
				s.userinfo(t, string(text)).wantError(t, http.StatusUnauthorized, "invalid_token")
				p := newPerson(t)
				p.open(s.authorizeURL(id, url.Values{"id_token_hint": {string(text)}}))
				p.wantError("invalid_request")
				s.redeem(t, "", "x", url.Values{"client_assertion": {string(text)}, "client_id": {"signs"},
					"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}).wantError(t, http.StatusUnauthorized, "invalid_client")
			})
		})
		t.Run("P13: an ID token by "+alg+" whose algorithm was changed is no hint", func(t *testing.T) {
			_, rest, _ := strings.Cut(idToken, ".")
			for _, header := range []string{`{"alg":"none"}`, `{"alg":"HS256","kid":"` + keys.Keys[0].KeyID + `"}`, `{"alg":"` + alg + `","jwk":{}}`} {
				forged := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
				p := newPerson(t)
				p.open(s.authorizeURL(id, url.Values{"id_token_hint": {forged}}))
				p.wantError("invalid_request")
			}
		})
	}
	t.Run("OIDC Core §5.3.2: who registered no algorithm gets JSON", func(t *testing.T) {
		tokens := s.redeem(t, "basic", s.signedIn(t, "basic", oneRole, nil), nil)
		access, _ := tokens.body["access_token"].(string)
		info := s.userinfo(t, access)
		if info.wantOK(t); info.header.Get("Content-Type") != "application/json" || info.body["sub"] != oneRole {
			t.Errorf("%v: %v", info.header, info.body)
		}
	})
	t.Run("P12: an access token of another scheme is none", func(t *testing.T) {
		req := request(t, http.MethodGet, s.issuer+"/userinfo", nil, "")
		req.Header.Set("Authorization", "Basic eDp4")
		if a := do(t, req); a.status != http.StatusUnauthorized {
			t.Errorf("%d, %v", a.status, a.body)
		}
	})
}

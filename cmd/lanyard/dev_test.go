package main

import (
	"crypto/x509"
	"encoding/pem"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDevelopment(t *testing.T) {
	s := start(t, nil)
	t.Run("own rule: every person is there, with what they show", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.issuer + "/dev")
		for _, want := range []string{"Dr Asha Smith", oneRole, "0000101", "Certificate expired", "No card"} {
			p.wantPage(http.StatusOK, want)
		}
	})
	t.Run("own rule: a request of an application is shown rule by rule, by its reference", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("narrow", url.Values{"scope": {"openid nationalrbacaccess"}}))
		p.wantError("invalid_scope")
		p.open(s.issuer + "/dev/requests?q=" + strings.ToLower(p.header.Get("X-Request-Id")[:8]))
		for _, want := range []string{"GET /authorize", "Kept: client_id is registered", "Not kept: scope has openid", "narrow"} {
			p.wantPage(http.StatusOK, want)
		}
		s.redeem(t, "basic", "x", url.Values{"client_id": {"basic"}}).wantError(t, http.StatusBadRequest, "invalid_grant")
		s.redeem(t, "post", "x", nil).wantError(t, http.StatusUnauthorized, "invalid_client")
		p.open(s.issuer + "/dev/requests")
		p.wantPage(http.StatusOK, `authentication method is "client_secret_basic", want client_secret_post`)
	})
	t.Run("own rule: the reference on a page leads to its log and its audit", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(closed)
		p.wantPage(http.StatusForbidden, "PRF-01")
		reference := p.header.Get("X-Request-Id")[:8]
		p.open(s.issuer + "/dev/requests?q=" + reference)
		p.wantPage(http.StatusOK, "page refused code=PRF-01")
		p.wantPage(http.StatusOK, "Audit: sign_in_refused subject="+closed)
	})
	t.Run("own rule: so does the reference of a card's refusal", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.link("card=" + card(expired))
		p.open(s.issuer + "/dev/requests?q=" + p.header.Get("X-Request-Id")[:8])
		p.wantPage(http.StatusOK, "page refused code=CRT-01 client=basic")
		p.wantPage(http.StatusOK, "Audit: sign_in_refused subject=555000000106 client=basic authenticator=card:0106 reason=the card's certificate has ended")
	})
	t.Run("own rule: the key of demo-jwt is shown", func(t *testing.T) {
		s := start(t, func(o *devOptions) { o.seed = "" }) // ours has no such client
		p := newPerson(t)
		p.open(s.issuer + "/dev/keys")
		_, rest, _ := strings.Cut(p.html(), "-----BEGIN")
		text, _, _ := strings.Cut(rest, "</pre>")
		block, _ := pem.Decode([]byte("-----BEGIN" + html.UnescapeString(text)))
		if block == nil {
			t.Fatal("there is no PEM")
		}
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			t.Error(err)
		}
	})
}

func TestClock(t *testing.T) {
	s := start(t, nil)
	advance := func(body string) answered {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+"/dev/clock", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		return do(t, req)
	}
	t.Run("own rule: the clock moves on and what waits for it happens", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		code := p.wantCode()
		other := newPerson(t)
		other.open(s.authorizeURL("basic", nil))
		advance(`{"advance":"14m59s"}`).wantOK(t)
		s.redeem(t, "basic", code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
		p.wantCode()
		advance(`{"advance":"2s"}`).wantOK(t)
		p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
		p.wantError("login_required")
		other.open(other.at.String())
		other.wantPage(http.StatusBadRequest, "SES-01")
	})
	t.Run("own rule: it never goes back, nor out of sight", func(t *testing.T) {
		for _, body := range []string{`{"advance":"-1m"}`, `{"advance":"0s"}`, `{"advance":"999999h"}`, `{"advance":15}`, `{"advance":"15m","x":1}`, `{}`, `x`, ""} {
			if a := advance(body); a.status != http.StatusBadRequest || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %d, %v", body, a.status, a.header)
			}
		}
		a := do(t, request(t, http.MethodGet, s.issuer+"/dev/clock", nil, ""))
		now, err := time.Parse(time.RFC3339Nano, a.body["now"].(string))
		if err != nil || time.Until(now) < 15*time.Minute || time.Until(now) > 16*time.Minute {
			t.Errorf("the clock says %v, %v", a.body, err)
		}
	})
}

func TestDevKeys(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	rotate := func(body string) answered {
		req := request(t, http.MethodPost, s.issuer+"/dev/keys/rotate", nil, "")
		req.Body = io.NopCloser(strings.NewReader(body))
		return do(t, req)
	}
	published := func() []string {
		keys := do(t, request(t, http.MethodGet, s.issuer+"/jwks", nil, ""))
		keys.wantOK(t)
		var kids []string
		for _, key := range keys.body["keys"].([]any) {
			kids = append(kids, key.(map[string]any)["kid"].(string))
		}
		return kids
	}
	signs := func() string {
		tokens := s.redeem(t, "basic", s.signedIn(t, "basic", oneRole, nil), nil)
		tokens.wantOK(t)
		return kidOf(t, tokens.body["id_token"].(string))
	}
	first := published()
	t.Run("keys: a rotation in development is one as in production: published first, signing later, and the old ones stay", func(t *testing.T) {
		rotate(`{"signs_in":"24h"}`).wantOK(t)
		if now := published(); len(now) != 2*len(first) || !slices.Contains(first, signs()) {
			t.Errorf("published are %v, and before %v", now, first)
		}
		if a := rotate(""); a.status != http.StatusBadRequest {
			t.Errorf("another while the next ones wait: %d", a.status)
		}
		s.advance(t, "24h")
		if kid := signs(); slices.Contains(first, kid) || len(published()) != 2*len(first) {
			t.Errorf("%s signs, published are %v", kid, published())
		}
		s.advance(t, "25h")
		if now := published(); len(now) != len(first) || slices.Contains(now, first[0]) {
			t.Errorf("published are %v, and at first %v", now, first)
		}
	})
	t.Run("own rule: without a word they sign at once", func(t *testing.T) {
		a := rotate("")
		a.wantOK(t)
		if kid := signs(); !slices.Contains(a.body["kids"].([]any), any(kid)) {
			t.Errorf("%s signs, and new are %v", kid, a.body)
		}
	})
	t.Run("own rule: what is no duration is refused", func(t *testing.T) {
		for _, body := range []string{`{"signs_in":"-1s"}`, `{"signs_in":5}`, `{"signs_in":"soon"}`, `{"x":1}`, `x`} {
			if a := rotate(body); a.status != http.StatusBadRequest || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %d", body, a.status)
			}
		}
	})
}

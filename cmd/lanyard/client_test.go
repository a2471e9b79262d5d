package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

// verifier is what the clients of these tests send where they use PKCE.
const verifier = "a-verifier-of-forty-three-characters-or-more-x"

// authorizeURL is a request of client id, with PKCE, and what else is given:
// a parameter with an empty value is left out.
func (s running) authorizeURL(id string, more url.Values) string {
	q := url.Values{
		"client_id": {id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile"},
		"state": {"the state"}, "nonce": {"the nonce"},
		"code_challenge": {idp.Challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	maps.Copy(q, more)
	for name, values := range q {
		if len(values) == 1 && values[0] == "" {
			delete(q, name)
		}
	}
	return s.issuer + "/authorize?" + q.Encode()
}

// signedIn is a code for client id, after a whole sign-in of uid.
func (s running) signedIn(t *testing.T, id, uid string, more url.Values) string {
	t.Helper()
	p := newPerson(t)
	p.open(s.authorizeURL(id, more))
	p.signIn(uid)
	return p.wantCode()
}

// answered is what an endpoint said.
type answered struct {
	status int
	header http.Header
	body   map[string]any
}

// redeem asks for tokens as client id, with its secret by Basic, and what
// else is given.
func (s running) redeem(t *testing.T, id, code string, more url.Values) answered {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	maps.Copy(form, more)
	for name, values := range form {
		if len(values) == 1 && values[0] == "" {
			delete(form, name)
		}
	}
	req := request(t, http.MethodPost, s.issuer+"/token", form, "")
	if id != "" {
		req.SetBasicAuth(id, clientSecret)
	}
	return do(t, req)
}

// userinfo asks who token is of.
func (s running) userinfo(t *testing.T, token string) answered {
	t.Helper()
	return do(t, request(t, http.MethodGet, s.issuer+"/userinfo", nil, token))
}

func do(t *testing.T, req *http.Request) answered {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	a := answered{status: resp.StatusCode, header: resp.Header}
	if len(b) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(b, &a.body); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	return a
}

// wantError checks status and error code of an OAuth error.
func (a answered) wantError(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.body["error"] != code {
		t.Errorf("status %d, %v; want %d, %s", a.status, a.body, status, code)
	}
}

func (a answered) wantOK(t *testing.T) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d, %v; want 200", a.status, a.body)
	}
}

package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// client is a relying party. It asks for what the contract's sign-in asks for,
// and checks what it gets as a careful one would.
type client struct {
	id, secret string
	key        crypto.Signer // of a client that signs assertions; nil if it has a secret
	keyID      string
	redirect   string
	scope      string
	alg        string // of its ID tokens
	keys       *keyCache
}

// request is one authorization request with what the client remembers of it.
type request struct {
	client                 *client
	state, nonce, verifier string
}

func (c *client) request() request {
	return request{client: c, state: random(16), nonce: random(16), verifier: random(32)}
}

// address is where the client sends the browser.
func (r request) address(more url.Values) string {
	sum := sha256.Sum256([]byte(r.verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {r.client.id}, "redirect_uri": {r.client.redirect}, "scope": {r.client.scope},
		"state": {r.state}, "nonce": {r.nonce}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	for name, values := range more {
		q[name] = values
	}
	return "/authorize?" + q.Encode()
}

// code reads the answer that the browser brought to the client.
func (r request) code(s *site, at *url.URL) (string, error) {
	q := at.Query()
	switch {
	case !strings.HasPrefix(at.String(), r.client.redirect):
		return "", fmt.Errorf("the browser was sent to %s%s", at.Host, at.Path)
	case q.Get("state") != r.state:
		return "", errors.New("the answer is for another request")
	case q.Get("iss") != s.issuer.String():
		return "", fmt.Errorf("the answer names the issuer %q", q.Get("iss"))
	case q.Get("error") != "":
		return "", oauthError{q.Get("error"), 0}
	case q.Get("code") == "":
		return "", errors.New("the answer has neither a code nor an error")
	}
	s.hears("code", q.Get("code"))
	return q.Get("code"), nil
}

// oauthError is an error that a client was told.
type oauthError struct {
	code   string
	status int // 0: through the browser
}

// Error says it as it was told.
func (e oauthError) Error() string {
	return fmt.Sprintf("the client was told %s (%d)", e.code, e.status)
}

// What the balancer says where no server answered.
var (
	// errLost: a request may have reached a server that did not live to answer
	// it. Nobody can tell what became of it but by asking again.
	errLost = errors.New("the answer was lost with the server that made it")

	errNobody = errors.New("no server was ready")
)

// problem is what a or its page says, where something else was expected.
func problem(doing string, a answer) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(a.body, &said) == nil && said.Error != "" {
		return fmt.Errorf("%s: %w", doing, oauthError{said.Error, a.status})
	}
	return fmt.Errorf("%s: %w", doing, unexpected{a.status, pageSays(a)})
}

// unexpected is an answer that is not what the step leads to.
type unexpected struct {
	status int
	says   string
}

// Error says what was seen.
func (u unexpected) Error() string { return fmt.Sprintf("status %d, %q", u.status, u.says) }

// tokens is what a client got for a code.
type tokens struct {
	access, id string
	refresh    string // "" where the client may not refresh
	claims     map[string]any
	keyID      string
}

// redeem turns a code into tokens, without a look at them.
func (r request) redeem(ctx context.Context, s *site, code string, more url.Values) (answer, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.client.redirect}, "code_verifier": {r.verifier}}
	header := http.Header{"Content-Type": []string{"application/x-www-form-urlencoded"}}
	switch {
	case more.Has("client_assertion"):
	case r.client.key != nil:
		assertion, err := r.client.assertion(s)
		if err != nil {
			return answer{}, err
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	default:
		header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(r.client.id)+":"+url.QueryEscape(r.client.secret)))}
	}
	for name, values := range more {
		form[name] = values
	}
	return s.ask(ctx, http.MethodPost, "/token", header, form.Encode())
}

// assertion proves who the client is, once. RFC 7523 §3.
func (c *client) assertion(s *site) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: c.key, KeyID: c.keyID}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	now := time.Now()
	payload, err := json.Marshal(map[string]any{"iss": c.id, "sub": c.id, "aud": s.issuer.String(),
		"jti": random(16), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	text, err := jws.CompactSerialize()
	s.hears("assertion", text)
	return text, err
}

// accept checks the token endpoint's answer as OIDC Core §3.1.3.7 asks.
func (r request) accept(ctx context.Context, s *site, a answer) (tokens, error) {
	if a.status != http.StatusOK {
		return tokens{}, problem("redeem the code", a)
	}
	var said struct {
		Access  string `json:"access_token"`
		ID      string `json:"id_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(a.body, &said); err != nil || said.Access == "" || said.ID == "" {
		return tokens{}, fmt.Errorf("the token endpoint's answer has no tokens: %w", err)
	}
	s.hears("access token", said.Access)
	s.hears("ID token", said.ID)
	if said.Refresh != "" {
		s.hears("refresh token", said.Refresh)
	}
	t := tokens{access: said.Access, id: said.ID, refresh: said.Refresh}
	if r.client.keys == nil {
		return t, nil
	}
	var err error
	if t.claims, t.keyID, err = r.client.keys.verify(ctx, said.ID, r.client.alg); err != nil {
		return t, err
	}
	sum := sha256.Sum256([]byte(said.Access))
	expires, _ := t.claims["exp"].(float64)
	switch {
	case t.claims["iss"] != s.issuer.String() || t.claims["aud"] != r.client.id || t.claims["nonce"] != r.nonce:
		return t, fmt.Errorf("the ID token is from, for or about another: iss %v, aud %v", t.claims["iss"], t.claims["aud"])
	case t.claims["at_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]):
		return t, errors.New("the ID token belongs to another access token")
	case time.Now().After(time.Unix(int64(expires), 0)):
		return t, errors.New("the ID token has ended")
	}
	return t, nil
}

// userinfo asks who an access token is of.
func (s *site) userinfo(ctx context.Context, access string) (answer, error) {
	return s.ask(ctx, http.MethodGet, "/userinfo", http.Header{"Authorization": []string{"Bearer " + access}}, "")
}

// random returns n random bytes in base64url.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// outage says whether err is how a service tells that something it stands on is
// gone: what people may meet while it is, and nothing else.
func outage(err error) bool {
	if told, ok := errors.AsType[oauthError](err); ok {
		return told.code == "temporarily_unavailable"
	}
	if seen, ok := errors.AsType[unexpected](err); ok {
		return seen.status == http.StatusServiceUnavailable
	}
	return errors.Is(err, errLost) || errors.Is(err, errNobody)
}

// pageSays is what a page or another answer says.
func pageSays(a answer) string {
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		return said(a.body)
	}
	return strings.TrimSpace(string(a.body[:min(len(a.body), 200)]))
}

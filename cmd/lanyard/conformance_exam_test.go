package main

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/lanyard-id/lanyard/idp"
)

// metadata is a discovery document.
type metadata map[string]any

func (d metadata) text(name string) string {
	s, _ := d[name].(string)
	return s
}

// list returns a list of texts; what is none has none.
func (d metadata) list(name string) []string {
	values, _ := d[name].([]any)
	var texts []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// tester asks a service as the conformance suite does, and knows of it what
// discovery says.
type tester struct {
	running
	discovery metadata
	provider  *oidc.Provider // which checks signatures
	ahead     time.Duration  // by which the service's clock was moved on
}

func aTester(t *testing.T, s running) *tester {
	t.Helper()
	d := do(t, request(t, http.MethodGet, s.issuer+"/.well-known/openid-configuration", nil, ""))
	d.wantOK(t)
	provider, err := oidc.NewProvider(context.Background(), s.issuer) // outlives the test that asks first
	if err != nil {
		t.Fatal(err)
	}
	return &tester{running: s, discovery: d.body, provider: provider}
}

// exam is one module at one browser, which nobody has signed in at.
type exam struct {
	*tester
	t      *testing.T
	person *person
	mode   string // response_mode of every request; "" names none
}

// now is the time at the service.
func (e *exam) now() time.Time { return time.Now().Add(e.ahead) }

// wait lets time go by at the service.
func (e *exam) wait(d time.Duration) {
	e.t.Helper()
	e.advance(e.t, d.String())
	e.ahead += d
}

// ask is an authorization request of a client, and what else is given: a
// parameter with an empty value is left out.
func (e *exam) ask(client string, more url.Values) url.Values {
	q := url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "scope": {"openid"},
		"state": {idp.NewSecret()}, "nonce": {idp.NewSecret()}}
	if e.mode != "" {
		q.Set("response_mode", e.mode)
	}
	maps.Copy(q, more)
	maps.DeleteFunc(q, func(_ string, values []string) bool { return len(values) == 1 && values[0] == "" })
	return q
}

// authorize sends the request with the browser, and signs the person in if
// they are asked to. The answer is nil if they stand before a page.
func (e *exam) authorize(q url.Values) (answer url.Values, asked bool) {
	e.t.Helper()
	e.person.open(e.discovery.text("authorization_endpoint") + "?" + q.Encode())
	return e.answered(q)
}

// answered is what comes of a request that the browser has sent.
func (e *exam) answered(q url.Values) (answer url.Values, asked bool) {
	e.t.Helper()
	p := e.person
	if asked = p.page != nil && p.at.Path == "/login"; asked {
		p.signIn(oneRole)
	}
	answer = p.answer()
	if e.mode == "form_post" {
		answer = e.posted()
	}
	if answer == nil {
		return nil, asked
	}
	for name, values := range answer {
		if len(values) != 1 {
			e.t.Errorf("%s comes %d times", name, len(values))
		}
	}
	if answer.Get("state") != q.Get("state") || answer.Get("iss") != e.issuer {
		e.t.Errorf("the client got %v, want its state and our name", answer)
	}
	return answer, asked
}

// posted is the answer by form. OAuth Form Post §2: none of it is in a URL.
func (e *exam) posted() url.Values {
	e.t.Helper()
	if e.person.answer() != nil {
		e.t.Errorf("the answer came in the URL: %s", e.person.hops[len(e.person.hops)-1])
	}
	for _, hop := range append(slices.Clone(e.person.hops), e.person.at.String()) {
		u, err := url.Parse(hop)
		if err != nil || u.Query().Has("code") || u.Query().Has("error") || u.Fragment != "" {
			e.t.Errorf("an address on the way is %s, %v", hop, err)
		}
	}
	return e.person.posted()
}

// outcome is what a client has when a person has signed in.
type outcome struct {
	request url.Values
	code    string
	asked   bool // whether the person had to
	tokens  answered
	access  string
	idToken string
	claims  map[string]any // of the ID token
}

// flow is the whole code flow of the client "basic".
func (e *exam) flow(more url.Values) outcome {
	e.t.Helper()
	return e.flowOf("basic", more)
}

func (e *exam) flowOf(client string, more url.Values) outcome {
	e.t.Helper()
	q := e.ask(client, more)
	answer, asked := e.authorize(q)
	return e.finish(q, answer, asked, nil)
}

// finish redeems the code of an answer and looks at everything that it gives.
func (e *exam) finish(q, answer url.Values, asked bool, more url.Values) outcome {
	e.t.Helper()
	o := outcome{request: q, code: answer.Get("code"), asked: asked}
	if o.code == "" || answer.Has("error") {
		e.t.Fatalf("no code, but %v; page: %s", answer, e.person.seen())
	}
	o.tokens = e.redeemed(o, more)
	o.access, o.idToken, o.claims = e.checked(q, o.tokens)
	info := do(e.t, request(e.t, http.MethodGet, e.discovery.text("userinfo_endpoint"), nil, o.access))
	info.wantOK(e.t)
	if info.body["sub"] != o.claims["sub"] {
		e.t.Errorf("userinfo is about %v, the ID token about %v", info.body["sub"], o.claims["sub"])
	}
	return o
}

// redeemed is what the token endpoint says of the code, now.
func (e *exam) redeemed(o outcome, more url.Values) answered {
	e.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {o.code}, "redirect_uri": {o.request.Get("redirect_uri")}}
	maps.Copy(form, more)
	return e.token(o.request.Get("client_id"), form)
}

// token asks the token endpoint as a client that proves itself with its
// secret, by the method that it is registered for.
func (e *exam) token(client string, form url.Values) answered {
	e.t.Helper()
	if client == "post" {
		form.Set("client_id", client)
		form.Set("client_secret", clientSecret)
	}
	req := request(e.t, http.MethodPost, e.discovery.text("token_endpoint"), form, "")
	if client != "post" {
		req.SetBasicAuth(client, clientSecret)
	}
	return do(e.t, req)
}

// checked looks at tokens as every module does. OIDC Core §3.1.3.3, §3.1.3.7.
func (e *exam) checked(q url.Values, tokens answered) (access, idToken string, claims map[string]any) {
	e.t.Helper()
	tokens.wantOK(e.t)
	if kind := tokens.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") || tokens.header.Get("Cache-Control") != "no-store" {
		e.t.Errorf("the tokens come as %s, Cache-Control %s", kind, tokens.header.Get("Cache-Control"))
	}
	if kind, _ := tokens.body["token_type"].(string); !strings.EqualFold(kind, "Bearer") {
		e.t.Errorf("token_type is %s", kind)
	}
	access, _ = tokens.body["access_token"].(string)
	idToken, _ = tokens.body["id_token"].(string)
	if len(access) < 22 {
		e.t.Errorf("the access token has %d characters, which is less than 128 bits", len(access))
	}
	verifier := e.provider.VerifierContext(context.Background(), &oidc.Config{ClientID: q.Get("client_id"), Now: e.now})
	id, err := verifier.Verify(e.t.Context(), idToken)
	if err != nil {
		e.t.Fatal(err)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(access); err != nil {
			e.t.Error(err)
		}
	}
	claims = payload(e.t, tokens)
	e.standard(q, id, claims)
	return access, idToken, claims
}

// standard holds claims to the types and values that they must have.
func (e *exam) standard(q url.Values, id *oidc.IDToken, claims map[string]any) {
	e.t.Helper()
	const skew = 10 * time.Second
	if id.Issuer != e.issuer || len(id.Audience) != 1 || id.Subject == "" || len(id.Subject) > 255 {
		e.t.Errorf("iss %s, aud %v, sub %s", id.Issuer, id.Audience, id.Subject)
	}
	if off := e.now().Sub(id.IssuedAt); off < -skew || off > time.Minute {
		e.t.Errorf("iat is %v from now", off)
	}
	if at, ok := claims["auth_time"].(float64); ok && time.Unix(int64(at), 0).After(e.now().Add(skew)) {
		e.t.Errorf("auth_time is %v", at)
	}
	if id.Nonce != "" && id.Nonce != q.Get("nonce") {
		e.t.Errorf("nonce is %q, want %q", id.Nonce, q.Get("nonce"))
	}
	if azp, ok := claims["azp"]; ok && azp != q.Get("client_id") {
		e.t.Errorf("azp is %v", azp)
	}
	_, isText := claims["acr"].(string)
	_, isList := claims["amr"].([]any)
	if !isText || !isList {
		e.t.Errorf("acr is %v, amr %v", claims["acr"], claims["amr"])
	}
	for _, name := range []string{"name", "given_name", "family_name", "email", "address", "phone_number"} {
		if value, has := claims[name]; has {
			e.t.Errorf("the ID token has %s, %v: userinfo gives it", name, value)
		}
	}
}

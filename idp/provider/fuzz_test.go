package provider

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// registrations are the clients of a test, by id.
type registrations map[string]idp.Client

func (r registrations) Client(_ context.Context, id string) (idp.Client, error) {
	if c, ok := r[id]; ok {
		return c, nil
	}
	return idp.Client{}, idp.ErrClientUnknown
}

// aProvider has two clients and keeps nothing.
func aProvider(t testing.TB) *Provider {
	t.Helper()
	keys, err := idp.GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := aKey(t, "k")
	clients := registrations{
		"c": {ID: "c", AuthMethod: idp.SecretBasic, RedirectURIs: []string{"https://rp.example/cb"}, Scopes: idp.Scopes,
			ResponseModes: []string{"form_post"}, Grants: []string{"authorization_code"}, ACRDefault: idp.AAL3Any, MinLevel: authenticators.AAL1},
		"k": {ID: "k", AuthMethod: idp.PrivateKeyJWT, JWKS: []byte(public), AssertionAlgs: idp.AssertionAlgs, AssertionAudiences: []string{"issuer"}},
	}
	p, err := New(Config{Issuer: "https://id.example", Layout: Standard, Clients: clients, SigningKeys: func() *idp.Keys { return keys },
		Logins: &idp.Logins{Now: time.Now}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// FuzzAuthorizeRequest holds whatever comes to the promises of a request: it
// is read without a panic, and what is kept of it is bounded and was allowed.
func FuzzAuthorizeRequest(f *testing.F) {
	p := aProvider(f)
	c, err := p.Clients.Client(f.Context(), "c")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"client_id=c&redirect_uri=https%3A%2F%2Frp.example%2Fcb&response_type=code&scope=openid+profile&state=s&nonce=n",
		"scope=openid&response_type=code&code_challenge_method=S256&code_challenge=" + idp.Challenge("v"),
		"scope=openid&response_type=code&prompt=none&max_age=300&acr_values=AAL3_ANY+AAL2_ANY&login_hint=555000000101&response_mode=form_post",
		"scope=openid&response_type=code&id_token_hint=a.b.c&max_age=-1",
		"scope=openid&response_type=code&claims=" + url.QueryEscape(`{"userinfo":{"name":{"essential":true}},"id_token":{"acr":{"essential":true,"values":["AAL3_ANY"]},"sub":{"value":"555000000101"},"email":null}}`),
		"scope=openid&response_type=code&claims=%7B%7D", "scope=openid&response_type=code&claims=null", "scope=openid&response_type=code&claims=%5B%5B%5B", "state=a&state=b", "request=x", "%zz", "scope=%00%ff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodPost, "/authorize", strings.NewReader(query))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		form, err := authorizeForm(r)
		if err != nil {
			return
		}
		l, err := p.login(t.Context(), c, form)
		if len(l.State) > maxEcho || err == nil && len(l.Nonce) > maxEcho {
			t.Errorf("state of %d and nonce of %d characters", len(l.State), len(l.Nonce))
		}
		if err != nil {
			return
		}
		if len(l.Scopes) > len(idp.Scopes) || len(l.Wants) == 0 || l.Challenge != "" && len(l.Challenge) != 43 || l.Hint != "" && !idp.IsUID(l.Hint) {
			t.Errorf("%+v", l)
		}
		if len(l.Asked.UserInfo)+len(l.Asked.IDToken) > 2*len(claims) || l.Only && l.Hint == "" {
			t.Errorf("%+v", l)
		}
		if l.Silent && l.Fresh || l.MaxAge != nil && *l.MaxAge < 0 || form.Get("response_type") != "code" {
			t.Errorf("%+v", l)
		}
	})
}

// FuzzClientAssertion holds whatever comes to one promise: nothing proves a
// client but a signature by its key, which no input here has.
func FuzzClientAssertion(f *testing.F) {
	p := aProvider(f)
	c, err := p.Clients.Client(f.Context(), "k")
	if err != nil {
		f.Fatal(err)
	}
	_, jws := aKey(f, "k")
	compact, err := jws.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{compact, "", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiIsImNyaXQiOlsieCJdfQ.e30.AA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, assertion string) {
		claimed(assertion)
		if _, err := p.checkAssertion(t.Context(), c, &op.ClientCredentials{ClientAssertion: assertion}); err == nil {
			t.Errorf("%q proves the client", assertion)
		}
	})
}

// FuzzRedirectAnswer: what a client gets back as state never leaves its place
// in the answer's URL.
func FuzzRedirectAnswer(f *testing.F) {
	p := aProvider(f)
	for _, seed := range []string{"s", "a&code=x", "a\r\nSet-Cookie: x=y", "#fragment", "%0d%0a", "é\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, state string) {
		w := httptest.NewRecorder()
		p.respond(w, httptest.NewRequest(http.MethodGet, "/", nil), idp.Login{RedirectURI: "https://rp.example/cb", State: state}, url.Values{"code": {"c"}})
		u, err := url.Parse(w.Header().Get("Location"))
		if err != nil || u.Host != "rp.example" || u.Fragment != "" || len(w.Header()["Set-Cookie"]) > 0 {
			t.Fatalf("Location %q, %v", w.Header().Get("Location"), err)
		}
		if q := u.Query(); q.Get("state") != state || q.Get("code") != "c" || len(q["code"]) != 1 {
			t.Errorf("the client reads %v", q)
		}
	})
}

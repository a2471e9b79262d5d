package demo

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/web"
)

// fakeOP is a provider that answers whatever a test wants it to.
type fakeOP struct {
	*httptest.Server
	key       *rsa.PrivateKey
	challenge string         // of the last authorization request
	nonce     string         // of the same
	id, info  map[string]any // put over the claims of a good answer
	issued    string         // the last ID token
}

func newOP(t *testing.T) *fakeOP {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	op := &fakeOP{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		write(w, map[string]any{"issuer": op.URL, "authorization_endpoint": op.URL + "/authorize", "token_endpoint": op.URL + "/token",
			"userinfo_endpoint": op.URL + "/userinfo", "jwks_uri": op.URL + "/jwks", "id_token_signing_alg_values_supported": []string{"RS256"},
			"end_session_endpoint": op.URL + "/end_session", "authorization_response_iss_parameter_supported": true})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		write(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("/token", op.token)
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, _ *http.Request) {
		write(w, over(map[string]any{"sub": "555000000101", "name": "Asha Smith", "display_name": "Dr Asha Smith",
			"nhsid_nrbac_roles": []any{map[string]any{"person_roleid": "555000000201", "org_code": "A9A5A",
				"role_name": `"Clinical":"Clinical Provision":"Clinical Practitioner Access Role"`}},
			"nhsid_user_orgs": []any{map[string]any{"org_name": "Riverside Surgery", "org_code": "A9A5A"}}}, op.info))
	})
	op.Server = httptest.NewServer(mux)
	t.Cleanup(op.Close)
	return op
}

// token keeps to RFC 7636 §4.6, so a test fails if the verifier is not sent.
func (op *fakeOP) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if id != "demo-rp" || secret != "demo-secret" || base64.RawURLEncoding.EncodeToString(sum[:]) != op.challenge {
		w.WriteHeader(http.StatusBadRequest)
		write(w, map[string]any{"error": "invalid_grant", "error_description": "the code is worth nothing"})
		return
	}
	half := sha256.Sum256([]byte("access"))
	claims := over(map[string]any{"iss": op.URL, "sub": "555000000101", "aud": "demo-rp", "nonce": op.nonce, "sid": "s1",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "auth_time": time.Now().Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]), "acr": "AAL3_ANY", "amr": []string{"CIS2_SMARTCARD"},
		"authentication_assurance_level": "3", "selected_roleid": "555000000201"}, op.id)
	op.issued = op.sign(claims)
	write(w, map[string]any{"access_token": "access", "token_type": "Bearer", "id_token": op.issued})
}

func (op *fakeOP) sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return oidctest.SignIDToken(op.key, "k", "RS256", string(payload))
}

// browser is a person's browser at the demo application.
type browser struct {
	*http.Client
	t    *testing.T
	base string
	op   *fakeOP
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	op := newOP(t)
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	app, err := NewRP(RPConfig{Issuer: op.URL, ClientID: "demo-rp", ClientSecret: "demo-secret", BaseURL: server.URL, Site: site,
		Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/", app)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), op.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return &browser{Client: client, t: t, base: server.URL, op: op}
}

// begin starts a sign-in and returns the authorization request.
func (b *browser) begin(options string) url.Values {
	b.t.Helper()
	res, err := b.Get(b.base + "/login?" + options)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	to, err := res.Location()
	if err != nil {
		b.t.Fatalf("GET /login: %d, %v", res.StatusCode, err)
	}
	q := to.Query()
	b.op.challenge, b.op.nonce = q.Get("code_challenge"), q.Get("nonce")
	return q
}

// answer brings an answer to the application and returns the page it ends on.
func (b *browser) answer(q url.Values) string {
	b.t.Helper()
	res, err := b.Get(b.base + "/callback?" + q.Encode())
	return b.read(res, err)
}

func (b *browser) read(res *http.Response, err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(res.Header.Get("Content-Type"), "html") && !strings.HasPrefix(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		b.t.Errorf("%s came without the content security policy", res.Request.URL)
	}
	return string(body)
}

// good is the answer of a provider that all went well with.
func (b *browser) good(asked url.Values) url.Values {
	return url.Values{"state": {asked.Get("state")}, "code": {"c"}, "iss": {b.op.URL}}
}

func TestSignIn(t *testing.T) {
	b := newBrowser(t)
	asked := b.begin("acr=AAL3_ANY&role=changedrole&prompt=login&max_age=60&mode=form_post")
	for name, want := range map[string]string{"acr_values": "AAL3_ANY", "prompt": "login", "max_age": "60", "response_mode": "form_post",
		"code_challenge_method": "S256", "response_type": "code", "client_id": "demo-rp", "redirect_uri": b.base + "/callback"} {
		if got := asked.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(asked.Get("scope"), "changedrole") || strings.Contains(asked.Get("scope"), "selectedrole") {
		t.Errorf("scope = %q", asked.Get("scope"))
	}

	page := b.read(b.PostForm(b.base+"/callback", b.good(asked)))
	for _, want := range []string{"You are signed in as Dr Asha Smith", "Clinical Practitioner Access Role", "Riverside Surgery (A9A5A)",
		"AAL3_ANY", "CIS2_SMARTCARD", "Level 3", "555000000101", "nhsid_nrbac_roles"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}

	out, err := b.PostForm(b.base+"/sign-out", nil)
	b.read(out, err)
	next, err := out.Location()
	if err != nil {
		t.Fatal(err)
	}
	if q := next.Query(); next.Path != "/end_session" || q.Get("id_token_hint") != b.op.issued || q.Get("post_logout_redirect_uri") != b.base+"/" {
		t.Errorf("signing out leads to %s", next)
	}
	if page := b.read(b.Get(b.base + "/")); !strings.Contains(page, "Sign in to see") {
		t.Error("still signed in after signing out")
	}
}

func TestRefusedAnswers(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		spoil  func(*fakeOP, url.Values)
		expect string
	}{
		{"RFC 6749 §10.12: state of another sign-in", func(_ *fakeOP, q url.Values) { q.Set("state", "x") }, "state_mismatch"},
		{"RFC 9207 §2.4: answer of another issuer", func(_ *fakeOP, q url.Values) { q.Set("iss", "https://other.example") }, "issuer_mismatch"},
		{"RFC 9207 §2.4: iss is promised and missing", func(_ *fakeOP, q url.Values) { q.Del("iss") }, "issuer_mismatch"},
		{"OIDC Core §3.1.2.6: an error is shown", func(_ *fakeOP, q url.Values) {
			q.Set("error", "access_denied")
			q.Set("error_description", "<b>no</b>")
		}, "&lt;b&gt;no"},
		{"RFC 7636 §4.6: the verifier does not fit", func(op *fakeOP, _ url.Values) { op.challenge = "x" }, "invalid_grant"},
		{"OIDC Core §3.1.3.7: another nonce", func(op *fakeOP, _ url.Values) { op.nonce = "x" }, "bad_id_token"},
		{"OIDC Core §3.1.3.7: another audience", func(op *fakeOP, _ url.Values) { op.id = map[string]any{"aud": "x"} }, "bad_id_token"},
		{"OIDC Core §3.1.3.7: too old a sign-in", func(op *fakeOP, _ url.Values) { op.id = map[string]any{"auth_time": 1} }, "bad_id_token"},
		{"OIDC Core §3.1.3.8: at_hash of another token", func(op *fakeOP, _ url.Values) { op.id = map[string]any{"at_hash": "x"} }, "bad_id_token"},
		{"OIDC Core §5.3.2: userinfo of someone else", func(op *fakeOP, _ url.Values) { op.info = map[string]any{"sub": "x"} }, "bad_userinfo"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			b := newBrowser(t)
			q := b.good(b.begin("max_age=60"))
			tt.spoil(b.op, q)
			page := b.answer(q)
			if !strings.Contains(page, tt.expect) || !strings.Contains(page, "You are not signed in") {
				t.Errorf("the page does not say %q:\n%s", tt.expect, page)
			}
		})
	}
	t.Run("an answer that comes twice", func(t *testing.T) {
		b := newBrowser(t)
		q := b.good(b.begin(""))
		b.answer(q)
		if page := b.answer(q); !strings.Contains(page, "state_mismatch") {
			t.Error("the second answer was accepted")
		}
	})
}

func TestBackchannelLogout(t *testing.T) {
	b := newBrowser(t)
	b.answer(b.good(b.begin("")))
	token := map[string]any{"iss": b.op.URL, "aud": "demo-rp", "sub": "555000000101", "sid": "s1", "jti": "1", "iat": time.Now().Unix(),
		"exp": time.Now().Add(time.Minute).Unix(), "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	for _, tt := range []struct {
		rule     string
		put      map[string]any
		status   int
		signedIn bool
	}{
		{"§2.6: an ID token is no logout token", map[string]any{"nonce": "n"}, http.StatusBadRequest, true},
		{"§2.6: another audience", map[string]any{"aud": "x"}, http.StatusBadRequest, true},
		{"§2.7: another session goes on", map[string]any{"sid": "s2", "jti": "2"}, http.StatusOK, true},
		{"§2.7: the session ends", nil, http.StatusOK, false},
		{"§2.6: the same token again", nil, http.StatusBadRequest, false},
	} {
		t.Run("OIDC Back-Channel Logout "+tt.rule, func(t *testing.T) {
			res, err := http.PostForm(b.base+"/backchannel-logout", url.Values{"logout_token": {b.op.sign(over(token, tt.put))}})
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if page := b.read(b.Get(b.base + "/")); strings.Contains(page, "You are signed in") != tt.signedIn {
				t.Errorf("signed in: %v, want %v", !tt.signedIn, tt.signedIn)
			}
		})
	}
}

func TestPagesAreStrict(t *testing.T) {
	b := newBrowser(t)
	pages := []string{b.read(b.Get(b.base + "/")), b.answer(nil), b.answer(b.good(b.begin("")))}
	for _, page := range pages {
		for _, bad := range []string{"<script>", "<style", " style=", " onclick=", "javascript:"} {
			if strings.Contains(page, bad) {
				t.Errorf("a page holds %q", bad)
			}
		}
	}
	for _, asset := range strings.Split(pages[0], `"`) {
		if !strings.HasSuffix(asset, ".css") && !strings.HasSuffix(asset, ".js") {
			continue
		}
		res, err := b.Get(b.base + asset)
		if b.read(res, err); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", asset, res.StatusCode)
		}
	}
}

func TestShelf(t *testing.T) {
	now := time.Unix(0, 0)
	s := newShelf[int](time.Minute, func() time.Time { return now })
	for i := range shelfSize + 5 {
		now = now.Add(time.Millisecond)
		s.put(fmt.Sprint(i), i)
	}
	if _, ok := s.get("0"); ok || len(s.kept) > shelfSize {
		t.Errorf("the shelf holds %d things, the oldest among them: %v", len(s.kept), ok)
	}
	now = now.Add(time.Minute)
	if _, ok := s.take(fmt.Sprint(shelfSize)); ok {
		t.Error("what has expired was given out")
	}
}

func over(claims, put map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range []map[string]any{claims, put} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func write(w http.ResponseWriter, v any) {
	var buf bytes.Buffer
	if err := json.NewEncoder(&buf).Encode(v); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = buf.WriteTo(w)
}

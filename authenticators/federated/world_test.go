package federated_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
)

const (
	holder   = "555000000101"
	theirSub = "upstream-subject-1"
	secret   = "a-secret-that-nobody-reads"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// world is a room with an upstream that answers whatever a test wants it to.
type world struct {
	*httptest.Server
	t    *testing.T
	room *federated.Room

	mu       sync.Mutex
	at       time.Time
	down     bool // the store
	asked    map[string]kept
	held     map[string]authenticators.Authenticator
	key      *rsa.PrivateKey
	codes    map[string]url.Values // the authorization requests, by code
	metadata map[string]any        // put over that of a good upstream
	claims   map[string]any        // put over those of a good ID token; nil leaves one out
	sign     func(claims []byte) string
	answer   func(http.ResponseWriter, *http.Request) bool // says true if it has answered
	visits   map[string]int
}

type kept struct {
	value   []byte
	expires time.Time
}

func newWorld(t *testing.T, change func(*federated.Config)) *world {
	t.Helper()
	w := &world{t: t, at: noon, asked: map[string]kept{}, held: map[string]authenticators.Authenticator{}, key: usualKey(), codes: map[string]url.Values{}, visits: map[string]int{}}
	w.sign = w.signed
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	w.held[w.URL+" "+theirSub] = authenticators.Authenticator{ID: "a1", Subject: holder, Kind: authenticators.FederatedKind,
		State: authenticators.Active, Level: authenticators.AAL2, Method: authenticators.Federated}
	c := w.config()
	if change != nil {
		change(&c)
	}
	room, err := federated.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.room = room
	return w
}

// usualKey is with what upstreams sign: making one takes longer than a test.
var usualKey = sync.OnceValue(anotherKey)

func anotherKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func (w *world) config() federated.Config {
	return federated.Config{Issuer: w.URL, ClientID: "lanyard", ClientSecret: secret, RedirectURI: "https://id.example/login/federated",
		LinkURI: "https://id.example/account/federated", Scopes: []string{"email"}, HTTP: w.Client(), Questions: w, Held: w, Now: w.now}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// visited is how often a path of the upstream was asked for.
func (w *world) visited(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.visits[path]
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) breakStore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
}

var errDown = errors.New("the store is down")

// Ask is of the store of questions.
func (w *world) Ask(_ context.Context, name string, question []byte, expires time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return errDown
	}
	w.asked[name] = kept{question, expires}
	return nil
}

// Take is of the store of questions.
func (w *world) Take(_ context.Context, name string, now time.Time) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, errDown
	}
	k, ok := w.asked[name]
	delete(w.asked, name)
	if !ok || !now.Before(k.expires) {
		return nil, authenticators.ErrAnswer
	}
	return k.value, nil
}

// ByHandle is of the registry.
func (w *world) ByHandle(_ context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.held[handle]
	if !ok || kind != authenticators.FederatedKind {
		return authenticators.Authenticator{}, authenticators.ErrNotHeld
	}
	return a, nil
}

// HeldBy is of the registry, and nothing that a room needs.
func (w *world) HeldBy(context.Context, string) ([]authenticators.Authenticator, error) {
	return nil, errors.New("the room asked what a person holds")
}

// serve is the upstream.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.visits[r.URL.Path]++
	answer := w.answer
	w.mu.Unlock()
	if answer != nil && answer(rw, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		w.write(rw, over(map[string]any{"issuer": w.URL, "authorization_endpoint": w.URL + "/authorize", "token_endpoint": w.URL + "/token", "jwks_uri": w.URL + "/jwks",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}, "authorization_response_iss_parameter_supported": true}, w.metadata))
	case "/jwks":
		w.write(rw, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	case "/token":
		w.token(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

// token keeps to RFC 6749 §4.1.3 and RFC 7636 §4.6.
func (w *world) token(rw http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	w.mu.Lock()
	q, ok := w.codes[code]
	delete(w.codes, code)
	at := w.at
	w.mu.Unlock()
	id, given, basic := r.BasicAuth()
	if !basic {
		id, given = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || id != "lanyard" || given != secret || r.PostFormValue("redirect_uri") != q.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") {
		rw.WriteHeader(http.StatusBadRequest)
		w.write(rw, map[string]any{"error": "invalid_grant", "error_description": "nothing is known of " + code})
		return
	}
	claims, err := json.Marshal(over(map[string]any{"iss": w.URL, "sub": theirSub, "aud": "lanyard", "nonce": q.Get("nonce"), "amr": []string{"pwd", "mfa"},
		"exp": at.Add(time.Hour).Unix(), "iat": at.Unix(), "auth_time": at.Unix(), "email": "asha@riverside.example"}, w.claims))
	if err != nil {
		panic(err)
	}
	w.write(rw, map[string]any{"access_token": "access", "token_type": "Bearer", "id_token": w.sign(claims)})
}

// over puts changes over m; a nil takes a member away.
func over(m, changes map[string]any) map[string]any {
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

func (w *world) write(rw http.ResponseWriter, v any) {
	if err := json.NewEncoder(rw).Encode(v); err != nil {
		w.t.Error(err)
	}
}

// signed is an ID token by the key that the upstream publishes.
func (w *world) signed(claims []byte) string { return jws(jose.RS256, w.key, "k", claims) }

func jws(alg jose.SignatureAlgorithm, key any, kid string, claims []byte) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		panic(err)
	}
	o, err := s.Sign(claims)
	if err != nil {
		panic(err)
	}
	text, err := o.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

func aForeignKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// aLogin is a login of a browser.
func aLogin() authenticators.Login {
	return authenticators.Login{ID: "login-a", Browser: strings.Repeat("b", 43), ClientID: "demo-rp", ClientName: "Demo application"}
}

// ask begins, and returns the parameters of the authorization request.
func (w *world) ask() (authenticators.Login, url.Values) {
	w.t.Helper()
	question, err := w.room.Begin(w.t.Context(), aLogin())
	if err != nil {
		w.t.Fatal(err)
	}
	return aLogin(), w.sent(question)
}

// sent reads the authorization request that a question makes.
func (w *world) sent(question json.RawMessage) url.Values {
	w.t.Helper()
	var q struct{ Question, URL string }
	if err := json.Unmarshal(question, &q); err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(q.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.HasPrefix(q.URL, w.URL+"/authorize?") || u.Query().Get("state") != q.Question {
		w.t.Fatalf("the question %q leads to %s", q.Question, q.URL)
	}
	return u.Query()
}

// code has the person sign in at the upstream.
func (w *world) code(q url.Values) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	code := "code-" + base64.RawURLEncoding.EncodeToString(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codes[code] = q
	return code
}

// answered is the right answer to an authorization request.
func (w *world) answered(q url.Values) map[string]string {
	return map[string]string{"state": q.Get("state"), "code": w.code(q), "iss": w.URL}
}

func (w *world) finish(a map[string]string) (authenticators.Evidence, error) {
	return w.room.Finish(w.t.Context(), aLogin(), raw(a))
}

func raw(a map[string]string) json.RawMessage {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return b
}

// wants checks the error of an answer, and that it holds no part of it.
func wants(t *testing.T, err, want error, a map[string]string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("Finish() = %v, want %v", err, want)
	}
	if errors.Is(want, federated.ErrUnreachable) == errors.Is(err, authenticators.ErrRefused) {
		t.Errorf("Finish() = %v: an outage is no refusal, and all else is", err)
	}
	for _, part := range []string{a["state"], a["code"], secret} {
		if err != nil && part != "" && bytes.Contains([]byte(err.Error()), []byte(part)) {
			t.Errorf("the error %q repeats the answer", err)
		}
	}
}

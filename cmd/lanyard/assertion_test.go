package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Keys of the clients that sign: registered, registered too, and not.
var (
	rsaKey, ecKey, strangeKey = testKey(), testECKey(), testKey()

	// keysAfar is where the client "signs-afar" has its keys. A test that
	// wants an answer there listens on keysPort.
	keysPort = freePort()
	keysAfar = fmt.Sprintf("http://localhost:%d/jwks", keysPort)
)

func testKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

func testECKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func freePort() int {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		panic(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// registered is the key set of the clients that sign.
func registered() directory.KeySet {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: rsaKey.Public(), KeyID: "rsa", Use: "sig"}, {Key: ecKey.Public(), KeyID: "ec", Use: "sig", Algorithm: "ES256"},
		{Key: strangeKey.Public(), KeyID: "enc", Use: "enc"},
	}})
	if err != nil {
		panic(err)
	}
	return directory.KeySet(b)
}

// assertion is what a client signs; a test changes a part of it.
type assertion struct {
	alg    jose.SignatureAlgorithm
	key    any
	header map[jose.HeaderKey]any
	claims map[string]any
}

func (s running) anAssertion(id string) assertion {
	now := time.Now()
	return assertion{alg: jose.RS512, key: rsaKey, header: map[jose.HeaderKey]any{"kid": "rsa", "typ": "JWT"}, claims: map[string]any{
		"iss": id, "sub": id, "aud": s.issuer + "/token", "jti": idp.NewSecret(), "iat": now.Unix(), "exp": now.Add(3 * time.Minute).Unix(),
	}}
}

func (a assertion) sign(t *testing.T) url.Values {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: a.alg, Key: a.key}, &jose.SignerOptions{ExtraHeaders: a.header})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(a.claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return shown(compact)
}

// shown is how a client shows an assertion. RFC 7523 §2.2.
func shown(jwt string) url.Values {
	return url.Values{"client_assertion": {jwt}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
}

func TestAssertion(t *testing.T) {
	s := start(t, nil)
	t.Run("P11: every registered algorithm, audience and shape is taken", func(t *testing.T) {
		for name, change := range map[string]func(*assertion){
			"RS512": func(*assertion) {}, "RS256": func(a *assertion) { a.alg = jose.RS256 }, "PS256": func(a *assertion) { a.alg = jose.PS256 },
			"ES256":                 func(a *assertion) { a.alg, a.key, a.header["kid"] = jose.ES256, ecKey, "ec" },
			"issuer as audience":    func(a *assertion) { a.claims["aud"] = s.issuer },
			"audience in a list":    func(a *assertion) { a.claims["aud"] = []string{"x", s.issuer + "/token"} },
			"no iat":                func(a *assertion) { delete(a.claims, "iat") },
			"5 minutes":             func(a *assertion) { a.claims["exp"] = time.Now().Add(5 * time.Minute).Unix() },
			"nbf 8 s ahead":         func(a *assertion) { a.claims["nbf"] = time.Now().Add(8 * time.Second).Unix() },
			"8 s past":              func(a *assertion) { a.claims["exp"] = time.Now().Add(-8 * time.Second).Unix() },
			"a fraction of seconds": func(a *assertion) { a.claims["exp"] = float64(time.Now().Add(time.Minute).UnixMilli()) / 1000 },
			"typ in full":           func(a *assertion) { a.header["typ"] = "application/jwt" },
			"no typ":                func(a *assertion) { delete(a.header, "typ") },
		} {
			a := s.anAssertion("signs")
			change(&a)
			if got := s.redeem(t, "", s.signedIn(t, "signs", oneRole, nil), a.sign(t)); got.status != http.StatusOK {
				t.Errorf("%s: %d, %v", name, got.status, got.body)
			}
		}
	})
	t.Run("P11: what is not as registered is invalid_client, and says no more", func(t *testing.T) {
		code := s.signedIn(t, "signs", oneRole, nil)
		for name, change := range map[string]func(*assertion){
			"another's key":      func(a *assertion) { a.key = strangeKey },
			"key for encryption": func(a *assertion) { a.key, a.header["kid"] = strangeKey, "enc" },
			"unknown kid":        func(a *assertion) { a.header["kid"] = "other" },
			"no kid":             func(a *assertion) { a.key = strangeKey; delete(a.header, "kid") },
			"PS512":              func(a *assertion) { a.alg = jose.PS512 },
			"other iss":          func(a *assertion) { a.claims["iss"] = "signs-too" },
			"other sub":          func(a *assertion) { a.claims["sub"] = "signs-too" },
			"no sub":             func(a *assertion) { delete(a.claims, "sub") },
			"other aud":          func(a *assertion) { a.claims["aud"] = "https://other.example/token" },
			"aud and a slash":    func(a *assertion) { a.claims["aud"] = s.issuer + "/token/" },
			"no aud":             func(a *assertion) { delete(a.claims, "aud") },
			"no exp":             func(a *assertion) { delete(a.claims, "exp") },
			"exp a minute ago":   func(a *assertion) { a.claims["exp"] = time.Now().Add(-time.Minute).Unix() },
			"exp in an hour":     func(a *assertion) { a.claims["exp"] = time.Now().Add(time.Hour).Unix() },
			"exp for ever":       func(a *assertion) { a.claims["exp"] = 1e300 },
			"exp as text":        func(a *assertion) { a.claims["exp"] = "tomorrow" },
			"nbf in a minute":    func(a *assertion) { a.claims["nbf"] = time.Now().Add(time.Minute).Unix() },
			"iat in a minute":    func(a *assertion) { a.claims["iat"] = time.Now().Add(time.Minute).Unix() },
			"no jti":             func(a *assertion) { delete(a.claims, "jti") },
			"long jti":           func(a *assertion) { a.claims["jti"] = strings.Repeat("x", 257) },
			"P13: jku":           func(a *assertion) { a.header["jku"] = keysAfar },
			"P13: x5u":           func(a *assertion) { a.header["x5u"] = keysAfar },
			"P13: jwk":           func(a *assertion) { a.header["jwk"] = jose.JSONWebKey{Key: strangeKey.Public()}; a.key = strangeKey },
			"P13: x5c":           func(a *assertion) { a.header["x5c"] = []string{} },
			"P12: typ a number":  func(a *assertion) { a.header["typ"] = 5 },
			"exp in 5 min 20 s":  func(a *assertion) { a.claims["exp"] = time.Now().Add(5*time.Minute + 20*time.Second).Unix() },
			"P12: an ID token's": func(a *assertion) { a.header["typ"] = "at+jwt" },
		} {
			a := s.anAssertion("signs")
			change(&a)
			got := s.redeem(t, "", code, a.sign(t))
			if got.status != http.StatusUnauthorized || got.body["error"] != "invalid_client" || len(got.body) != 1 {
				t.Errorf("%s: %d, %v", name, got.status, got.body)
			}
		}
		s.redeem(t, "", code, s.anAssertion("signs").sign(t)).wantOK(t)
	})
	t.Run("P13: none, HMAC with the public key, and rubbish", func(t *testing.T) {
		b64 := base64.RawURLEncoding.EncodeToString
		claims, err := json.Marshal(s.anAssertion("signs").claims)
		if err != nil {
			t.Fatal(err)
		}
		hmac := s.anAssertion("signs")
		hmac.alg, hmac.key = jose.HS256, []byte(registered())
		for name, form := range map[string]url.Values{
			"none": shown(b64([]byte(`{"alg":"none"}`)) + "." + b64(claims) + "."), "HMAC": hmac.sign(t), "empty": shown(".."),
			"no dots": shown("x"), "huge": shown(strings.Repeat("x", 20_000)), "JWE": shown("a.b.c.d.e"),
		} {
			if got := s.redeem(t, "", "x", form); got.status != http.StatusUnauthorized || got.body["error"] != "invalid_client" {
				t.Errorf("%s: %d, %v", name, got.status, got.body)
			}
		}
	})
	t.Run("RFC 6749 §2.3: an assertion and a secret are one proof too many", func(t *testing.T) {
		form := s.anAssertion("signs").sign(t)
		form.Set("client_secret", "x")
		s.redeem(t, "", s.signedIn(t, "signs", oneRole, nil), form).wantError(t, http.StatusBadRequest, "invalid_request")
	})
	t.Run("RFC 7521 §4.2: a client_id beside the assertion must be the same client's", func(t *testing.T) {
		form := s.anAssertion("signs").sign(t)
		form.Set("client_id", "signs-too")
		s.redeem(t, "", "x", form).wantError(t, http.StatusUnauthorized, "invalid_client")
		form.Set("client_id", "basic")
		s.redeem(t, "", "x", form).wantError(t, http.StatusUnauthorized, "invalid_client")
	})
	t.Run("own rule: the log says which field, what came and what was registered", func(t *testing.T) {
		a := s.anAssertion("signs")
		a.claims["aud"] = "https://other.example/token"
		s.redeem(t, "", "x", a.sign(t)).wantError(t, http.StatusUnauthorized, "invalid_client")
		logged, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		if want := `proof of the client: aud is \"https://other.example/token\", want ` + s.issuer + " or " + s.issuer + "/token"; !strings.Contains(string(logged), want) {
			t.Errorf("the log does not say %s", want)
		}
	})
}

func TestAssertionOnce(t *testing.T) {
	s := start(t, nil)
	t.Run("P11: an assertion is worth one token, however many show it at once", func(t *testing.T) {
		form := s.anAssertion("signs").sign(t)
		var codes []string
		for range 20 {
			codes = append(codes, s.signedIn(t, "signs", oneRole, nil))
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for _, code := range codes {
			wg.Go(func() {
				if got := s.redeem(t, "", code, form); got.status == http.StatusOK {
					won.Add(1)
				} else if got.body["error"] != "invalid_client" {
					t.Errorf("%d, %v", got.status, got.body)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d tokens for one assertion", won.Load())
		}
	})
	t.Run("P11: the jti of one client says nothing of another's", func(t *testing.T) {
		one, two := s.anAssertion("signs"), s.anAssertion("signs-too")
		two.claims["jti"] = one.claims["jti"]
		s.redeem(t, "", s.signedIn(t, "signs", oneRole, nil), one.sign(t)).wantOK(t)
		s.redeem(t, "", s.signedIn(t, "signs-too", oneRole, nil), two.sign(t)).wantOK(t)
	})
}

func TestKeysAfar(t *testing.T) {
	s := start(t, nil)
	l, err := net.Listen("tcp", fmt.Sprintf("localhost:%d", keysPort))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	var set atomic.Value
	set.Store(string(registered()))
	afar := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(set.Load().(string)))
	})}}
	afar.Start()
	defer afar.Close()
	t.Run("P11: keys at an address are asked for once, and again for a kid that they did not have", func(t *testing.T) {
		for range 3 {
			s.redeem(t, "", s.signedIn(t, "signs-afar", oneRole, nil), s.anAssertion("signs-afar").sign(t)).wantOK(t)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times, want 1", n)
		}
		a := s.anAssertion("signs-afar")
		a.header["kid"] = "new"
		for range 5 { // within the pause nobody is asked again
			s.redeem(t, "", "x", a.sign(t)).wantError(t, http.StatusUnauthorized, "invalid_client")
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times, want 1: a stranger's kids must not make us ask", n)
		}
	})
}

func TestKeysInside(t *testing.T) {
	t.Parallel()
	settings := aProduction(t)
	asked := make(chan struct{}, 9)
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		_, _ = w.Write([]byte(registered()))
	}))
	t.Cleanup(inside.Close)
	store, done, err := openProduction(t.Context(), settledOf(t, settings), discard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	afar := directory.Client{ID: "afar", AuthMethod: idp.PrivateKeyJWT, JWKSURI: inside.URL, AssertionAlgs: []string{"RS512"}, AssertionAudiences: []string{"issuer"},
		IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1}
	if err := store.Load(t.Context(), directory.Document{Clients: []directory.Client{afar}}, ""); err != nil {
		t.Fatal(err)
	}
	for networks, want := range map[string]struct{ status, asked int }{"": {http.StatusUnauthorized, 0}, "127.0.0.0/8": {http.StatusOK, 1}} {
		t.Run(fmt.Sprintf("own rule: keys inside our own network are read where that network is named: %q", networks), func(t *testing.T) {
			settings, before := maps.Clone(settings), len(asked)
			settings["clients.networks"] = networks
			s := serveOn(t, settings)
			a := running{issuer: settings["issuer"]}.anAssertion("afar")
			a.claims["aud"] = settings["issuer"]
			form := a.sign(t)
			form.Set("token", "none")
			resp, err := http.PostForm(s.people+"/introspect", form)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want.status || len(asked)-before != want.asked {
				t.Errorf("%s, asked %d times", resp.Status, len(asked)-before)
			}
		})
	}
}

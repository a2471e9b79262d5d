package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// checked is what `lanyard client check` found, and ended with.
type checked struct {
	findings []finding
	status   int
	err      error
}

func check(t *testing.T, args ...string) checked {
	t.Helper()
	cmd := clientGroup()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(append([]string{"check", "--json"}, args...))
	c := checked{err: cmd.ExecuteContext(t.Context())}
	if e, ok := errors.AsType[exit](c.err); ok {
		c.status = e.status
	} else if c.err != nil {
		c.status = exitFailed
	}
	if out.Len() > 0 && out.Bytes()[0] == '[' {
		if err := json.Unmarshal(out.Bytes(), &c.findings); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
	}
	return c
}

// of are the findings of one part, as text.
func (c checked) of(v verdict, of string) string {
	var says []string
	for _, f := range c.findings {
		if f.Verdict == v && (of == "" || f.Of == of) {
			says = append(says, f.Says)
		}
	}
	return strings.Join(says, "\n")
}

// wants checks that there is one finding of that kind and no failure but it.
func (c checked) wants(t *testing.T, v verdict, of, says string) {
	t.Helper()
	if !strings.Contains(c.of(v, of), says) {
		t.Errorf("%d, %v: %+v; want %s of %s: %s", c.status, c.err, c.findings, v, of, says)
	}
	failed := strings.Count(c.of(fail, "")+"\n", "\n")
	if want := map[bool]int{true: exitFailed}[v == fail]; c.status != want || v == fail && failed != 1 || v != fail && c.of(fail, "") != "" {
		t.Errorf("%d, %v: failures %q", c.status, c.err, c.of(fail, ""))
	}
}

// keyFile writes a private key as PEM.
func keyFile(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func keysFile(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return written(t, string(b))
}

func TestClientCheck(t *testing.T) {
	s := start(t, nil)
	secret := written(t, clientSecret+"\n")
	wrong := written(t, "another")
	at := func(id string, more ...string) []string {
		return append([]string{s.issuer, "--client-id", id, "--redirect-uri", callback}, more...)
	}
	t.Run("own rule: of an application that is registered as it says nothing fails, and it is seen to prove itself", func(t *testing.T) {
		for id, more := range map[string][]string{
			"basic":     {"--secret-file", secret, "--scope", "openid profile", "--acr-values", "AAL3_ANY"},
			"post":      {"--secret-file", secret, "--auth-method", "client_secret_post"},
			"public":    {"--auth-method", "none"},
			"signs":     {"--auth-method", "private_key_jwt", "--key", keyFile(t, rsaKey), "--jwks", keysFile(t, jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "rsa", Use: "sig", Algorithm: "RS512"})},
			"all-PS256": {"--secret-file", secret, "--id-token-alg", "PS256", "--userinfo-alg", "PS256", "--grant", "authorization_code", "--response-mode", "query", "--response-mode", "form_post"},
		} {
			c := check(t, at(id, more...)...)
			if c.status != 0 || !strings.Contains(c.of(fine, "token"), "the application proves itself") || !strings.Contains(c.of(fine, "authorize"), "the provider knows it") || c.of(fine, "issuer") == "" {
				t.Errorf("%s: %d, %v\n%+v", id, c.status, c.err, c.findings)
			}
		}
	})
	t.Run("own rule: the registration can be a directory document, of which options change a part", func(t *testing.T) {
		file := written(t, fmt.Sprintf("clients:\n  - {id: basic, redirect_uris: [%s], scopes: [openid, profile]}\n  - {id: other}\n", callback))
		if c := check(t, s.issuer, "--file", file, "--client-id", "basic", "--secret-file", secret); c.status != 0 || c.of(fine, "token") == "" {
			t.Errorf("%d, %v\n%+v", c.status, c.err, c.findings)
		}
		check(t, s.issuer, "--file", file, "--client-id", "basic", "--redirect-uri", callback+"/").wants(t, fail, "authorize", "sends them nowhere")
		if c := check(t, s.issuer, "--file", file); c.status != exitNotFound {
			t.Errorf("without a name: %d, %v", c.status, c.err)
		}
		broken := written(t, "clients:\n  - id: basic\n    redirect_uris: ['https://a.example/#x']\n    scope: [openid]\n")
		c := check(t, s.issuer, "--file", broken, "--client-id", "basic")
		if c.status != exitFailed || !strings.Contains(c.of(fail, broken+", line 3"), "fragment") || !strings.Contains(c.of(fail, broken+", line 4"), "scopes") {
			t.Errorf("%d, %v\n%+v", c.status, c.err, c.findings)
		}
	})
	_, port, _ := strings.Cut(strings.TrimPrefix(s.issuer, "http://"), ":")
	for _, tt := range []struct {
		name string
		args []string
		v    verdict
		of   string
		says string
	}{
		{"an issuer with a slash more", append([]string{s.issuer + "/"}, at("basic")[1:]...), fail, "issuer", "they differ in a port, a slash or a capital letter"},
		{"an issuer by another name", append([]string{"http://127.0.0.1:" + port}, at("basic")[1:]...), fail, "issuer", "calls itself"},
		{"a redirect URI with a fragment", at("basic", "--redirect-uri", "https://rp.example/cb#x"), fail, "redirect-uri", "it has a fragment"},
		{"http to another computer", at("basic", "--redirect-uri", "http://rp.example/cb"), fail, "redirect-uri", "http to another computer"},
		{"a pattern", at("basic", "--redirect-uri", "https://*.rp.example/cb"), fail, "redirect-uri", "it is a pattern"},
		{"no address", at("basic", "--redirect-uri", "/cb"), fail, "redirect-uri", "no absolute address"},
		{"another scheme", at("basic", "--redirect-uri", "com.example.app://cb"), fail, "redirect-uri", "its scheme is"},
		{"a redirect URI that is not registered", at("basic", "--redirect-uri", callback+"/"), fail, "authorize", "sends them nowhere"},
		{"a client that is not registered", at("nobody"), fail, "authorize", "sends them nowhere"},
		{"a port that https has anyway", []string{s.issuer, "--redirect-uri", "https://rp.example:443/cb"}, warn, "redirect-uri", "the port that its scheme has anyway"},
		{"capital letters", []string{s.issuer, "--redirect-uri", "https://RP.example/cb"}, warn, "redirect-uri", "capital letters"},
		{"a fixed port of a native application", []string{s.issuer, "--auth-method", "none", "--redirect-uri", "http://localhost/cb"}, warn, "redirect-uri", "its port is fixed"},
		{"an address after signing out", at("basic", "--post-logout-redirect-uri", "http://rp.example/"), fail, "post-logout-redirect-uri", "http to another computer"},
		{"a back-channel address", at("basic", "--backchannel-logout-uri", "http://rp.example/out"), fail, "backchannel-logout-uri", "http to another computer"},
		{"a back-channel address on this computer", at("basic", "--backchannel-logout-uri", "http://localhost:1/out"), warn, "backchannel-logout-uri", "inside a network"},
		{"a way to prove itself that there is not", at("basic", "--auth-method", "tls_client_auth"), fail, "auth-method", `does not offer "tls_client_auth"`},
		{"an algorithm that is not offered", at("basic", "--id-token-alg", "HS256"), fail, "id-token-alg", `does not offer "HS256"`},
		{"userinfo by one", at("basic", "--userinfo-alg", "none"), fail, "userinfo-alg", `does not offer "none"`},
		{"a grant that is not offered", at("basic", "--grant", "password"), fail, "grant", `does not offer "password"`},
		{"a response mode that is not offered", at("basic", "--response-mode", "fragment"), fail, "response-mode", `does not offer "fragment"`},
		{"a scope that nobody knows", at("basic", "--scope", "openid groups"), warn, "scope", `does not offer "groups"`},
		{"no openid", at("basic", "--scope", "profile"), fail, "scope", "openid is not among them"},
		{"a scope that the client is not registered for", at("narrow", "--scope", "openid profile"), fail, "authorize", "invalid_scope"},
		{"an acr that nobody can meet", at("basic", "--acr-values", "AAL3_FIDO2 urn:x"), fail, "acr-values", "none of them"},
		{"an acr that the client may not ask for", at("card-only", "--acr-values", "AAL2_ANY"), fail, "authorize", "unmet_authentication_requirements"},
		{"a client without the grant", at("no-code"), fail, "authorize", "unauthorized_client"},
		{"a response mode that the client is not registered for", at("query-only", "--response-mode", "form_post"), fail, "authorize", "not registered for this response_mode"},
		{"a wrong secret", at("basic", "--secret-file", wrong), fail, "token", "does not know who this is"},
		{"another way to prove itself than the registered one", at("basic", "--secret-file", secret, "--auth-method", "client_secret_post"), fail, "token", "does not know who this is"},
		{"no secret to try", at("basic"), warn, "token", "not tried"},
		{"no id", []string{s.issuer, "--redirect-uri", callback}, warn, "client-id", "none is named"},
		{"a key where a secret proves", at("basic", "--key", "/nowhere", "--secret-file", secret), warn, "key", "proves nothing"},
	} {
		t.Run("own rule: "+tt.name, func(t *testing.T) {
			c := check(t, tt.args...)
			if tt.says == "openid is not among them" { // authorize says it too
				c.findings = slices.DeleteFunc(c.findings, func(f finding) bool { return f.Of == "authorize" })
			}
			if tt.of == "acr-values" && tt.v == fail {
				c.findings = slices.DeleteFunc(c.findings, func(f finding) bool { return f.Of == "authorize" })
			}
			if tt.name == "a client that is not registered" {
				c.findings = slices.DeleteFunc(c.findings, func(f finding) bool { return f.Of == "token" })
			}
			c.wants(t, tt.v, tt.of, tt.says)
		})
	}
	t.Run("own rule: a provider that does not answer, or is none, cannot be reached", func(t *testing.T) {
		for _, issuer := range []string{"http://localhost:1", s.issuer + "/nowhere", s.rp} {
			if c := check(t, issuer); c.status != exitUnreached {
				t.Errorf("%s: %d, %v", issuer, c.status, c.err)
			}
		}
	})
	t.Run("own rule: an issuer that is none, and a file that is not there, are wrong usage", func(t *testing.T) {
		for _, args := range [][]string{{"localhost:8080"}, {s.issuer, "--secret-file", "/nowhere"}, {s.issuer, "--file", "/nowhere"}} {
			if c := check(t, args...); c.status != exitUsage {
				t.Errorf("%v: %d, %v", args, c.status, c.err)
			}
		}
	})
}

func TestClientCheckKeys(t *testing.T) {
	s := start(t, nil)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "rsa", Use: "sig", Algorithm: "RS512"}
	with := func(change func(*jose.JSONWebKey)) jose.JSONWebKey { k := good; change(&k); return k }
	for _, tt := range []struct {
		name string
		keys []jose.JSONWebKey
		v    verdict
		says string
	}{
		{"a key with its private part", []jose.JSONWebKey{{Key: strangeKey, KeyID: "s", Use: "sig"}, good}, fail, "for everybody to read"},
		{"two of one kid", []jose.JSONWebKey{good, good}, fail, "two keys have the kid"},
		{"no kid", []jose.JSONWebKey{with(func(k *jose.JSONWebKey) { k.KeyID = "" })}, warn, "it has no kid"},
		{"no use", []jose.JSONWebKey{with(func(k *jose.JSONWebKey) { k.Use = "" })}, warn, "it has no use"},
		{"no alg", []jose.JSONWebKey{with(func(k *jose.JSONWebKey) { k.Algorithm = "" })}, warn, "it has no alg"},
		{"an alg of another kind", []jose.JSONWebKey{with(func(k *jose.JSONWebKey) { k.KeyID, k.Algorithm = "x", "ES256" }), good}, fail, "is not one of its kind"},
		{"a weak key", []jose.JSONWebKey{{Key: weak.Public(), KeyID: "w", Use: "sig", Algorithm: "RS256"}, good}, fail, "it has 1024 bits"},
		{"a curve that nobody verifies", []jose.JSONWebKey{{Key: p384.Public(), KeyID: "p", Use: "sig"}, good}, fail, "no assertion is signed with"},
		{"a key for something else", []jose.JSONWebKey{with(func(k *jose.JSONWebKey) { k.KeyID, k.Use = "e", "enc" }), good}, fine, "passed over"},
	} {
		t.Run("own rule: "+tt.name, func(t *testing.T) {
			check(t, s.issuer, "--redirect-uri", callback, "--auth-method", "private_key_jwt", "--jwks", keysFile(t, tt.keys...)).wants(t, tt.v, "jwks", tt.says)
		})
	}
	t.Run("own rule: keys that cannot be used at all", func(t *testing.T) {
		for _, text := range []string{"x", `{"keys": 5}`, `[]`} {
			check(t, s.issuer, "--auth-method", "private_key_jwt", "--jwks", written(t, text)).wants(t, fail, "jwks", "no JSON Web Key Set")
		}
		check(t, s.issuer, "--auth-method", "private_key_jwt", "--jwks", written(t, `{"keys": []}`)).wants(t, fail, "jwks", "no key in it")
		check(t, s.issuer, "--auth-method", "private_key_jwt").wants(t, fail, "jwks", "there are no public keys")
	})
	t.Run("own rule: a key that is not the published one, and one that the registration does not have", func(t *testing.T) {
		args := []string{s.issuer, "--client-id", "signs", "--redirect-uri", callback, "--auth-method", "private_key_jwt"}
		check(t, append(args, "--key", keyFile(t, strangeKey), "--jwks", keysFile(t, good))...).wants(t, fail, "key", "not among the published keys")
		other := jose.JSONWebKey{Key: strangeKey.Public(), KeyID: "rsa", Use: "sig", Algorithm: "RS256"}
		check(t, append(args, "--key", keyFile(t, strangeKey), "--jwks", keysFile(t, other), "--assertion-audience", "issuer")...).wants(t, fail, "token", "does not know who this is")
	})
	t.Run("own rule: keys at an address are fetched as a provider would", func(t *testing.T) {
		answer := http.StatusOK
		afar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if answer == http.StatusFound {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(answer)
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{good}})
		}))
		defer afar.Close()
		args := []string{s.issuer, "--redirect-uri", callback, "--auth-method", "private_key_jwt", "--jwks-uri", afar.URL + "/jwks"}
		check(t, args...).wants(t, warn, "jwks-uri", "inside a network")
		answer = http.StatusFound
		check(t, args...).wants(t, fail, "jwks-uri", "it leads elsewhere")
		answer = http.StatusNotFound
		check(t, args...).wants(t, fail, "jwks-uri", "404")
		args[len(args)-1] = "http://rp.example/jwks"
		check(t, args...).wants(t, fail, "jwks-uri", "http to another computer")
		args[len(args)-1] = "http://localhost:1/jwks"
		check(t, args...).wants(t, fail, "jwks-uri", "refused")
	})
}

// TestClientCheckElsewhere is at a provider whose words the test sets.
func TestClientCheckElsewhere(t *testing.T) {
	var late time.Duration
	var issuer, at string
	var proofs atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			proofs.Add(1)
		}
		w.Header().Set("Date", time.Now().Add(late).UTC().Format(http.TimeFormat))
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "authorization_endpoint": at, "token_endpoint": at})
	}))
	at = other.URL
	defer other.Close()
	for _, tt := range []struct {
		name string
		late time.Duration
		v    verdict
	}{
		{"clocks agree", 0, fine}, {"its clock is 5 seconds ahead", 5 * time.Second, warn}, {"its clock is a minute ahead", time.Minute, fail}, {"its clock is a minute behind", -time.Minute, fail},
	} {
		t.Run("own rule: "+tt.name, func(t *testing.T) {
			late, issuer = tt.late, other.URL
			check(t, other.URL).wants(t, tt.v, "clock", "ahead of this computer's")
		})
	}
	t.Run("own rule: a secret goes to the issuer that was named, and to no other", func(t *testing.T) {
		args := []string{other.URL, "--client-id", "basic", "--secret-file", written(t, clientSecret)}
		late, issuer = 0, "https://id.example"
		check(t, args...).wants(t, fail, "issuer", "calls itself")
		if proofs.Load() != 0 {
			t.Error("it was sent")
		}
		issuer = other.URL
		check(t, args...)
		if proofs.Load() != 1 {
			t.Errorf("sent %d times to the right one", proofs.Load())
		}
	})
	t.Run("own rule: an issuer with :443, which browsers leave out", func(t *testing.T) {
		late, issuer = 0, strings.Replace(other.URL, "127.0.0.1", "127.0.0.1:443", 1)
		check(t, other.URL).wants(t, fail, "issuer", "they differ in a port")
	})
}

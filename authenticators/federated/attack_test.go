package federated_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
)

// TestAttacks changes one thing in an answer that would be right.
func TestAttacks(t *testing.T) {
	ago := func(d time.Duration) int64 { return noon.Add(-d).Unix() }
	claim := func(name string, value any) func(*world, map[string]string) {
		return func(w *world, _ map[string]string) { w.claims = map[string]any{name: value} }
	}
	answer := func(name, value string) func(*world, map[string]string) {
		return func(_ *world, a map[string]string) { a[name] = value }
	}
	for _, tt := range []struct {
		rule   string
		attack func(*world, map[string]string)
		want   error
	}{
		{"RFC 6749 §10.12: a state that nobody asked with", answer("state", strings.Repeat("A", 43)), authenticators.ErrAnswer},
		{"RFC 6749 §10.12: no state", answer("state", ""), authenticators.ErrAnswer},
		{"RFC 9207 §2.4: the answer is another provider's", answer("iss", "https://other.example"), authenticators.ErrAnswer},
		{"RFC 9207 §2.4: the answer does not say whose it is", answer("iss", ""), authenticators.ErrAnswer},
		{"RFC 6749 §10.5: a code that was never given", answer("code", "a-code-of-nobody"), authenticators.ErrAnswer},
		{"RFC 7636 §4.6: a code of another question, whose verifier we lack", func(w *world, a map[string]string) {
			_, other := w.ask()
			a["code"] = w.code(other)
		}, authenticators.ErrAnswer},
		{"own rule: both a code and an error", answer("error", "access_denied"), authenticators.ErrAnswer},

		{"OIDC Core §3.1.3.7: the ID token of another issuer", claim("iss", "https://other.example"), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: no issuer", claim("iss", nil), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: for another client", claim("aud", "another"), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: for another client too", claim("aud", []string{"lanyard", "another"}), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: for nobody", claim("aud", nil), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: issued to another client", claim("azp", "another"), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: issued to an empty client", claim("azp", ""), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: expired", claim("exp", ago(time.Second)), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: never expires", claim("exp", nil), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: of an old question", claim("iat", ago(61*time.Second)), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: of the future", claim("iat", ago(-61*time.Second)), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: without iat", claim("iat", nil), federated.ErrUnproven},
		{"OIDC Core §3.1.3.7: the nonce of another sign-in", claim("nonce", strings.Repeat("n", 43)), authenticators.ErrAnswer},
		{"OIDC Core §3.1.3.7: no nonce", claim("nonce", nil), authenticators.ErrAnswer},
		{"OIDC Core §3.1.3.7: the person signed in earlier", claim("auth_time", ago(61*time.Second)), federated.ErrStale},
		{"OIDC Core §3.1.3.7: nobody says when the person signed in", claim("auth_time", nil), federated.ErrStale},
		{"OIDC Core §3.1.3.7: auth_time in the future", claim("auth_time", ago(-61*time.Second)), federated.ErrStale},
		{"OIDC Core §3.1.3.7: auth_time that is no time", claim("auth_time", 1e300), federated.ErrStale},
		{"OIDC Core §3.1.3.7: auth_time that is a text", claim("auth_time", "now"), federated.ErrUnproven},
		{"OIDC Core §2: no subject", claim("sub", nil), federated.ErrUnproven},
		{"OIDC Core §2: a subject too long", claim("sub", strings.Repeat("s", 256)), federated.ErrUnproven},
		{"OIDC Core §2: a subject that is not ASCII", claim("sub", "sub\u0000ject"), federated.ErrUnproven},

		{"RFC 8725 §3.1: not signed at all", signedBy(func(_ *world, claims []byte) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims) + "."
		}), federated.ErrUnproven},
		{"RFC 8725 §3.1: by HMAC with our secret", signedBy(func(_ *world, claims []byte) string {
			return jws(jose.HS256, []byte(strings.Repeat(secret, 2)), "k", claims)
		}), federated.ErrUnproven},
		{"RFC 8725 §3.1: by HMAC with the public key", signedBy(func(w *world, claims []byte) string {
			return jws(jose.HS256, w.key.N.Bytes(), "k", claims)
		}), federated.ErrUnproven},
		{"RFC 8725 §3.1: by a key that the upstream does not have", signedBy(func(w *world, claims []byte) string {
			return jws(jose.ES256, aForeignKey(w.t), "k", claims)
		}), federated.ErrUnproven},
		{"RFC 8725 §3.1: by a key of another name", signedBy(func(w *world, claims []byte) string {
			return jws(jose.RS256, w.key, "another", claims)
		}), federated.ErrUnproven},
		{"RFC 8725 §3.1: claims changed after they were signed", signedBy(func(w *world, claims []byte) string {
			parts := strings.Split(w.signed(claims), ".")
			parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), theirSub, "another-subject-xx", 1)))
			return strings.Join(parts, ".")
		}), federated.ErrUnproven},
		{"own rule: no JWT", signedBy(func(*world, []byte) string { return "nothing" }), federated.ErrUnproven},

		{"federation: an account that is linked to nobody", claim("sub", "another"), federated.ErrUnlinked},
		{"federation: the same subject at another issuer", func(w *world, _ map[string]string) {
			w.held["https://other.example "+theirSub] = w.held[w.URL+" "+theirSub]
			delete(w.held, w.URL+" "+theirSub)
		}, federated.ErrUnlinked},
		{"federation: a known e-mail address of an unknown subject", func(w *world, _ map[string]string) {
			w.claims = map[string]any{"sub": "another", "email": "asha.smith@riverside.example", "email_verified": true}
			w.held["asha.smith@riverside.example"] = w.held[w.URL+" "+theirSub]
		}, federated.ErrUnlinked},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t, nil)
			_, q := w.ask()
			a := w.answered(q)
			tt.attack(w, a)
			_, err := w.finish(a)
			wants(t, err, tt.want, a)
		})
	}
}

func signedBy(sign func(*world, []byte) string) func(*world, map[string]string) {
	return func(w *world, _ map[string]string) { w.sign = func(claims []byte) string { return sign(w, claims) } }
}

func TestSubjectsAreNotMixedUp(t *testing.T) {
	t.Run("federation: each subject is its own person", func(t *testing.T) {
		w := newWorld(t, nil)
		w.held[w.URL+" upstream-subject-2"] = authenticators.Authenticator{ID: "a2", Subject: "555000000102", State: authenticators.Active, Level: authenticators.AAL2}
		_, q := w.ask()
		w.claims = map[string]any{"sub": "upstream-subject-2"}
		if e, err := w.finish(w.answered(q)); err != nil || e.Subject != "555000000102" {
			t.Errorf("Finish() = %+v, %v", e, err)
		}
	})
}

func TestReplay(t *testing.T) {
	t.Run("RFC 6749 §10.12: an answer that a thief brings in another browser, and then its owner", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		a := w.answered(q)
		thief := aLogin()
		thief.Browser = strings.Repeat("t", 43)
		_, err := w.room.Finish(t.Context(), thief, raw(a))
		wants(t, err, authenticators.ErrAnswer, a)
		_, err = w.finish(a)
		wants(t, err, authenticators.ErrAnswer, a)
		if w.visited("/token") != 0 {
			t.Error("the code was used")
		}
	})
	t.Run("RFC 6749 §10.12: a state that was used", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		if _, err := w.finish(w.answered(q)); err != nil {
			t.Fatal(err)
		}
		a := w.answered(q)
		_, err := w.finish(a)
		wants(t, err, authenticators.ErrAnswer, a)
	})
	t.Run("own rule: a store that forgets the time keeps no question open", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		k := w.asked[q.Get("state")]
		k.expires = noon.Add(time.Hour)
		w.asked[q.Get("state")] = k
		w.advance(300 * time.Second)
		a := w.answered(q)
		_, err := w.finish(a)
		wants(t, err, authenticators.ErrAnswer, a)
	})
}

func TestErrorsOfTheUpstream(t *testing.T) {
	for code, want := range map[string]error{
		"access_denied":                     federated.ErrCancelled,
		"login_required":                    federated.ErrDeclined,
		"interaction_required":              federated.ErrDeclined,
		"invalid_request":                   federated.ErrDeclined,
		"<script>alert(1)</script>":         federated.ErrDeclined,
		"unmet_authentication_requirements": federated.ErrWeak,
		"server_error":                      federated.ErrUnreachable,
		"temporarily_unavailable":           federated.ErrUnreachable,
	} {
		t.Run("RFC 6749 §4.1.2.1: "+code, func(t *testing.T) {
			w := newWorld(t, nil)
			_, q := w.ask()
			a := map[string]string{"state": q.Get("state"), "iss": w.URL, "error": code}
			_, err := w.finish(a)
			wants(t, err, want, a)
			if strings.Contains(err.Error(), "script") {
				t.Errorf("the error repeats the upstream: %q", err)
			}
			_, err = w.finish(a)
			wants(t, err, authenticators.ErrAnswer, a)
		})
	}
	t.Run("RFC 9207 §2.4: an error that another provider gave", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		a := map[string]string{"state": q.Get("state"), "iss": "https://other.example", "error": "access_denied"}
		_, err := w.finish(a)
		wants(t, err, authenticators.ErrAnswer, a)
	})
	t.Run("RFC 9207 §2.4: an upstream that never sends iss", func(t *testing.T) {
		w := newWorld(t, nil)
		w.metadata = map[string]any{"authorization_response_iss_parameter_supported": nil}
		_, q := w.ask()
		a := w.answered(q)
		delete(a, "iss")
		if _, err := w.finish(a); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
}

// answering answers at one path in place of a good upstream.
func (w *world) answering(path string, do http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		do(rw, r)
		return true
	}
}

func TestOutages(t *testing.T) {
	const discovery = "/.well-known/openid-configuration"
	said := "the upstream says: " + strings.Repeat("<b>\x00é", 500)
	wrong := map[string]http.HandlerFunc{
		"answers 500":     func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, said, http.StatusInternalServerError) },
		"answers 404":     http.NotFound,
		"is busy":         func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, said, http.StatusTooManyRequests) },
		"answers in HTML": func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>" + said)) },
		"answers nothing": func(http.ResponseWriter, *http.Request) {},
		"answers too much": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte("{}" + strings.Repeat(" ", 300<<10)))
		},
		"sends elsewhere": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"hangs up":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"answers null": func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("null")) },
		"never finishes": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server hears that its caller has gone when it has read all
			<-r.Context().Done()
		},
	}
	impatient := func(c *federated.Config) {
		h := *c.HTTP
		h.Timeout = 200 * time.Millisecond
		c.HTTP = &h
	}
	quiet := func(t *testing.T, w *world, err error) {
		t.Helper()
		if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\x00\n") || strings.Contains(err.Error(), "é") {
			t.Errorf("the error tells too much: %q", err)
		}
		if w.visited("/elsewhere") != 0 {
			t.Error("a redirect was followed")
		}
	}
	for how, do := range wrong {
		t.Run("own rule: no question when discovery "+how, func(t *testing.T) {
			w := newWorld(t, impatient)
			w.answering(discovery, do)
			_, err := w.room.Begin(t.Context(), aLogin())
			wants(t, err, federated.ErrUnreachable, nil)
			quiet(t, w, err)
		})
		for _, path := range []string{"/token", "/jwks"} {
			if path == "/jwks" && how == "answers null" {
				continue // no keys: then the signature is nobody's
			}
			t.Run("own rule: an outage when "+path+" "+how, func(t *testing.T) {
				w := newWorld(t, impatient)
				_, q := w.ask()
				a := w.answered(q)
				w.answering(path, do)
				_, err := w.finish(a)
				wants(t, err, federated.ErrUnreachable, a)
				quiet(t, w, err)
			})
		}
	}
	t.Run("own rule: an upstream that refuses our secret is out of order", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		a := w.answered(q)
		w.answering("/token", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusUnauthorized)
			w.write(rw, map[string]string{"error": "invalid_client", "error_description": a["code"]})
		})
		_, err := w.finish(a)
		wants(t, err, federated.ErrUnreachable, a)
	})
	t.Run("own rule: the upstream's own words are not repeated where they may hold the code", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		a := w.answered(q)
		w.answering("/token", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusBadRequest)
			w.write(rw, map[string]string{"error": a["code"], "error_description": a["code"]})
		})
		_, err := w.finish(a)
		wants(t, err, federated.ErrUnreachable, a)
	})
	for rule, metadata := range map[string]map[string]any{
		"another issuer":             {"issuer": "https://other.example"},
		"a token endpoint in clear":  {"token_endpoint": "http://upstream.example/token"},
		"keys in clear":              {"jwks_uri": "http://upstream.example/jwks"},
		"a sign-in page of a script": {"authorization_endpoint": "javascript:alert(1)"},
		"no keys":                    {"jwks_uri": nil},
	} {
		t.Run("OIDC Discovery §4.3: metadata with "+rule, func(t *testing.T) {
			w := newWorld(t, nil)
			w.metadata = metadata
			_, err := w.room.Begin(t.Context(), aLogin())
			wants(t, err, federated.ErrUnreachable, nil)
		})
	}
}

func TestDiscovery(t *testing.T) {
	const discovery = "/.well-known/openid-configuration"
	down := func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "down", http.StatusBadGateway) }
	begin := func(w *world) error {
		_, err := w.room.Begin(w.t.Context(), aLogin())
		return err
	}
	t.Run("own rule: the upstream is asked when somebody comes, and then remembered", func(t *testing.T) {
		w := newWorld(t, nil)
		if w.visited(discovery) != 0 {
			t.Error("New() asked the upstream")
		}
		for range 3 {
			if err := begin(w); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.visited(discovery); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
	})
	t.Run("own rule: an upstream that was down is asked again, but not by everybody", func(t *testing.T) {
		w := newWorld(t, nil)
		w.answering(discovery, down)
		for range 3 {
			wants(t, begin(w), federated.ErrUnreachable, nil)
		}
		if n := w.visited(discovery); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
		w.answering("", nil)
		w.advance(5 * time.Second)
		if err := begin(w); err != nil {
			t.Errorf("Begin() = %v", err)
		}
	})
	t.Run("own rule: what was known is used while nothing newer can be had", func(t *testing.T) {
		w := newWorld(t, nil)
		if err := begin(w); err != nil {
			t.Fatal(err)
		}
		w.advance(time.Hour)
		w.answering(discovery, down)
		if err := begin(w); err != nil {
			t.Errorf("Begin() = %v", err)
		}
		if n := w.visited(discovery); n != 2 {
			t.Errorf("it was asked %d times", n)
		}
	})
	t.Run("own rule: a person who goes away spoils nothing for others", func(t *testing.T) {
		w := newWorld(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.room.Begin(ctx, aLogin()); errors.Is(err, authenticators.ErrRefused) {
			t.Errorf("Begin() = %v", err)
		}
		if err := begin(w); err != nil {
			t.Errorf("Begin() = %v", err)
		}
	})
	t.Run("own rule: keys are fetched once, and again when a new one signs", func(t *testing.T) {
		w := newWorld(t, nil)
		for range 3 {
			_, q := w.ask()
			if _, err := w.finish(w.answered(q)); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.visited("/jwks"); n != 1 {
			t.Errorf("they were fetched %d times", n)
		}
		w.key = anotherKey()
		_, q := w.ask()
		if _, err := w.finish(w.answered(q)); err != nil {
			t.Errorf("Finish() = %v", err)
		}
		if n := w.visited("/jwks"); n != 2 {
			t.Errorf("they were fetched %d times", n)
		}
	})
}

package federated_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/contract"
	"github.com/lanyard-id/lanyard/authenticators/federated"
)

func TestContract(t *testing.T) {
	contract.Room(t, func(t *testing.T) contract.Fixture {
		w := newWorld(t, nil)
		return contract.Fixture{
			Room:    w.room,
			Subject: holder,
			Life:    300 * time.Second,
			Answer: func(t *testing.T, question json.RawMessage) json.RawMessage {
				return raw(w.answered(w.sent(question)))
			},
			Advance: w.advance,
			Break:   w.breakStore,
		}
	})
}

func TestBegin(t *testing.T) {
	w := newWorld(t, func(c *federated.Config) {
		c.AAL2 = federated.Proof{ACR: []string{"AAL3_ANY", "AAL2_OR_AAL3_ANY"}}
		c.Scopes = []string{"openid", "email"}
	})
	_, q := w.ask()
	t.Run("federation: the upstream is asked that the person signs in now", func(t *testing.T) {
		for name, want := range map[string]string{"response_type": "code", "client_id": "lanyard", "redirect_uri": "https://id.example/login/federated", "scope": "openid email",
			"prompt": "login", "max_age": "300", "acr_values": "AAL3_ANY AAL2_OR_AAL3_ANY", "code_challenge_method": "S256"} {
			if got := q.Get(name); got != want || len(q[name]) != 1 {
				t.Errorf("%s is %q, want %q", name, q[name], want)
			}
		}
	})
	t.Run("federation: state, nonce and challenge are 256 bits and never the same", func(t *testing.T) {
		_, again := w.ask()
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if b, err := base64.RawURLEncoding.DecodeString(q.Get(name)); err != nil || len(b) != 32 || q.Get(name) == again.Get(name) {
				t.Errorf("%s is %q and then %q", name, q.Get(name), again.Get(name))
			}
		}
		if q.Get("state") == q.Get("nonce") || q.Get("nonce") == q.Get("code_challenge") {
			t.Error("one is used as the other")
		}
	})
	for rule, login := range map[string]authenticators.Login{
		"own rule: a question belongs to a browser": {ID: "login-a"},
		"own rule: a question belongs to a login":   {Browser: "b"},
	} {
		t.Run(rule, func(t *testing.T) {
			if _, err := w.room.Begin(t.Context(), login); err == nil || errors.Is(err, authenticators.ErrRefused) {
				t.Errorf("Begin() = %v, want an error that is no refusal", err)
			}
		})
	}
	t.Run("own rule: no question without random bytes", func(t *testing.T) {
		w := newWorld(t, func(c *federated.Config) { c.Rand = iotest.ErrReader(errors.New("dry")) })
		if _, err := w.room.Begin(t.Context(), aLogin()); err == nil {
			t.Error("Begin() asked")
		}
	})
	t.Run("own rule: acr values are asked for only where one proves something", func(t *testing.T) {
		if _, q := newWorld(t, nil).ask(); q.Has("acr_values") {
			t.Errorf("acr_values is %q", q.Get("acr_values"))
		}
	})
}

func TestFinish(t *testing.T) {
	t.Run("federation: the evidence of an account", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		w.advance(20 * time.Second)
		a := w.answered(q)
		w.claims = map[string]any{"auth_time": noon.Add(10 * time.Second).Unix()}
		e, err := w.finish(a)
		if err != nil {
			t.Fatal(err)
		}
		if e.Subject != holder || e.Method != authenticators.Federated || e.Level != authenticators.AAL2 || !e.At.Equal(noon.Add(10*time.Second)) ||
			e.Authenticator != "federated:a1" || e.Use == nil || e.Use.ID != "a1" || e.Use.Mark != nil || !e.Ends.IsZero() {
			t.Errorf("Finish() = %+v", e)
		}
	})
	for rule, at := range map[string]time.Duration{
		"own rule: a slow upstream dates no sign-in before its question": -30 * time.Second,
		"own rule: a fast upstream dates no sign-in in the future":       30 * time.Second,
	} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t, nil)
			_, q := w.ask()
			w.claims = map[string]any{"auth_time": noon.Add(at).Unix(), "iat": noon.Add(at).Unix()}
			if e, err := w.finish(w.answered(q)); err != nil || !e.At.Equal(noon) {
				t.Errorf("Finish() = %v, %v; want noon", e.At, err)
			}
		})
	}
	t.Run("own rule: what an answer brings beside its own members is passed over", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		a := w.answered(q)
		a["session_state"], a["client_id"] = "x", "another"
		if _, err := w.finish(a); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
	t.Run("own rule: who comes back finds the login", func(t *testing.T) {
		w := newWorld(t, nil)
		login, q := w.ask()
		l, e, err := w.room.Collect(t.Context(), raw(w.answered(q)), func(l authenticators.Login) error {
			if l != login {
				t.Errorf("the login is %+v, want %+v", l, login)
			}
			return nil
		})
		if err != nil || l != login || e.Subject != holder {
			t.Errorf("Collect() = %+v, %+v, %v", l, e, err)
		}
	})
	t.Run("own rule: nothing is asked of the upstream for another's login", func(t *testing.T) {
		w := newWorld(t, nil)
		login, q := w.ask()
		mine := errors.New("mine to say")
		l, _, err := w.room.Collect(t.Context(), raw(w.answered(q)), func(authenticators.Login) error { return mine })
		if !errors.Is(err, mine) || l != login || w.visited("/token") != 0 {
			t.Errorf("Collect() = %+v, %v after %d exchanges", l, err, w.visited("/token"))
		}
	})
	t.Run("own rule: an account that was stopped here is refused", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		held := w.held[w.URL+" "+theirSub]
		held.State = authenticators.Suspended
		w.held[w.URL+" "+theirSub] = held
		a := w.answered(q)
		_, err := w.finish(a)
		wants(t, err, authenticators.ErrSuspended, a)
	})
	t.Run("own rule: a link is never worth more than when it was made", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		held := w.held[w.URL+" "+theirSub]
		held.Level = authenticators.AAL3
		w.held[w.URL+" "+theirSub] = held
		if e, err := w.finish(w.answered(q)); err != nil || e.Level != authenticators.AAL2 {
			t.Errorf("Finish() = level %d, %v", e.Level, err)
		}
	})
	t.Run("own rule: the secret may go in the form, where the upstream wants that", func(t *testing.T) {
		w := newWorld(t, nil)
		w.metadata = map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
		_, q := w.ask()
		if _, err := w.finish(w.answered(q)); err != nil {
			t.Errorf("Finish() = %v", err)
		}
	})
}

// TestProof is what counts as more than a password.
func TestProof(t *testing.T) {
	byACR := federated.Proof{ACR: []string{"urn:example:strong"}}
	for _, tt := range []struct {
		rule   string
		proof  federated.Proof
		claims map[string]any
		err    error
	}{
		{"mfa among the amr values", federated.Proof{}, nil, nil},
		{"neither acr nor amr", federated.Proof{}, map[string]any{"amr": nil}, federated.ErrWeak},
		{"a password alone", federated.Proof{}, map[string]any{"amr": []string{"pwd"}}, federated.ErrWeak},
		{"an amr that is a text", federated.Proof{}, map[string]any{"amr": "mfa"}, federated.ErrWeak},
		{"an amr with a number in it", federated.Proof{}, map[string]any{"amr": []any{"mfa", 7}}, federated.ErrWeak},
		{"an acr that nobody configured", federated.Proof{}, map[string]any{"amr": nil, "acr": "AAL3_ANY"}, federated.ErrWeak},
		{"an acr that is configured", byACR, map[string]any{"amr": nil, "acr": "urn:example:strong"}, nil},
		{"another acr than is configured", byACR, map[string]any{"acr": "urn:example:weak"}, federated.ErrWeak},
		{"an acr that is a list", byACR, map[string]any{"acr": []string{"urn:example:strong"}}, federated.ErrWeak},
		{"an empty acr", federated.Proof{ACR: []string{""}}, map[string]any{"acr": ""}, federated.ErrWeak},
		{"mfa where only acr values count", byACR, nil, federated.ErrWeak},
		{"another amr that is configured", federated.Proof{AMR: []string{"hwk"}}, map[string]any{"amr": []string{"hwk"}}, nil},
	} {
		t.Run("RFC 8176 §2: "+tt.rule, func(t *testing.T) {
			w := newWorld(t, func(c *federated.Config) { c.AAL2 = tt.proof })
			_, q := w.ask()
			w.claims = tt.claims
			a := w.answered(q)
			_, err := w.finish(a)
			if tt.err == nil {
				if err != nil {
					t.Errorf("Finish() = %v, want evidence", err)
				}
				return
			}
			wants(t, err, tt.err, a)
		})
	}
}

func TestEnrolment(t *testing.T) {
	e := authenticators.Enrolment{ID: "e1", Browser: strings.Repeat("b", 43), Subject: "555000000102", Email: "someone@riverside.example"}
	begin := func(t *testing.T, w *world) map[string]string {
		t.Helper()
		question, err := w.room.BeginEnrolment(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		q := w.sent(question)
		if q.Get("redirect_uri") != "https://id.example/account/federated" {
			t.Errorf("redirect_uri is %q", q.Get("redirect_uri"))
		}
		return w.answered(q)
	}
	t.Run("federation: an account is linked by its issuer and subject", func(t *testing.T) {
		w := newWorld(t, func(c *federated.Config) { c.Name = "Riverside organisation sign-in" })
		got, err := w.room.FinishEnrolment(t.Context(), e, raw(begin(t, w)))
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"issuer":%q,"sub":%q,"email":"asha@riverside.example"}`, w.URL, theirSub)
		if got.Subject != e.Subject || got.Kind != authenticators.FederatedKind || got.Handle != w.URL+" "+theirSub || got.Method != authenticators.Federated ||
			got.Level != authenticators.AAL2 || got.Model != "Riverside organisation sign-in" || string(got.Record) != want || got.SelfClaimed {
			t.Errorf("FinishEnrolment() = %+v with %s", got, got.Record)
		}
	})
	t.Run("own rule: an upstream without a name goes by its host", func(t *testing.T) {
		w := newWorld(t, nil)
		if got, err := w.room.FinishEnrolment(t.Context(), e, raw(begin(t, w))); err != nil || got.Model != "127.0.0.1" {
			t.Errorf("FinishEnrolment() = %q, %v", got.Model, err)
		}
	})
	t.Run("own rule: an e-mail address that nobody could show is not kept", func(t *testing.T) {
		w := newWorld(t, nil)
		w.claims = map[string]any{"email": "a\u202e@riverside.example"}
		if got, err := w.room.FinishEnrolment(t.Context(), e, raw(begin(t, w))); err != nil || strings.Contains(string(got.Record), "email") {
			t.Errorf("FinishEnrolment() = %s, %v", got.Record, err)
		}
	})
	for rule, change := range map[string]func(*authenticators.Enrolment){
		"another act":     func(e *authenticators.Enrolment) { e.ID = "e2" },
		"another browser": func(e *authenticators.Enrolment) { e.Browser = strings.Repeat("c", 43) },
		"another person":  func(e *authenticators.Enrolment) { e.Subject = holder },
	} {
		t.Run("federation: an answer links nothing in "+rule, func(t *testing.T) {
			w := newWorld(t, nil)
			other, a := e, begin(t, w)
			change(&other)
			_, err := w.room.FinishEnrolment(t.Context(), other, raw(a))
			wants(t, err, authenticators.ErrAnswer, a)
			_, err = w.room.FinishEnrolment(t.Context(), e, raw(a))
			wants(t, err, authenticators.ErrAnswer, a)
		})
	}
	t.Run("federation: who links does not sign in", func(t *testing.T) {
		w := newWorld(t, nil)
		a := begin(t, w)
		_, err := w.room.Finish(t.Context(), authenticators.Login{ID: e.ID, Browser: e.Browser}, raw(a))
		wants(t, err, authenticators.ErrAnswer, a)
	})
	t.Run("federation: who signs in does not link", func(t *testing.T) {
		w := newWorld(t, nil)
		_, q := w.ask()
		a := w.answered(q)
		_, err := w.room.FinishEnrolment(t.Context(), authenticators.Enrolment{ID: aLogin().ID, Browser: aLogin().Browser}, raw(a))
		wants(t, err, authenticators.ErrAnswer, a)
	})
	t.Run("federation: a password alone links nothing", func(t *testing.T) {
		w := newWorld(t, nil)
		w.claims = map[string]any{"amr": []string{"pwd"}}
		a := begin(t, w)
		_, err := w.room.FinishEnrolment(t.Context(), e, raw(a))
		wants(t, err, federated.ErrWeak, a)
	})
	t.Run("own rule: nobody links without being signed in", func(t *testing.T) {
		if _, err := newWorld(t, nil).room.BeginEnrolment(t.Context(), authenticators.Enrolment{ID: "e", Browser: "b"}); err == nil {
			t.Error("BeginEnrolment() asked")
		}
	})
}

func TestNew(t *testing.T) {
	good := newWorld(t, nil).config()
	for rule, change := range map[string]func(*federated.Config){
		"an issuer":                func(c *federated.Config) { c.Issuer = "" },
		"https":                    func(c *federated.Config) { c.Issuer = "http://upstream.example" },
		"a plain issuer":           func(c *federated.Config) { c.Issuer = "https://upstream.example?a=b" },
		"a client ID":              func(c *federated.Config) { c.ClientID = "" },
		"a secret":                 func(c *federated.Config) { c.ClientSecret = "" },
		"a redirect URI":           func(c *federated.Config) { c.RedirectURI = "" },
		"two redirect URIs":        func(c *federated.Config) { c.LinkURI = c.RedirectURI },
		"an HTTP client":           func(c *federated.Config) { c.HTTP = nil },
		"questions":                func(c *federated.Config) { c.Questions = nil },
		"who holds what":           func(c *federated.Config) { c.Held = nil },
		"a clock":                  func(c *federated.Config) { c.Now = nil },
		"an issuer without spaces": func(c *federated.Config) { c.Issuer = "https://upstream.example/ a" },
	} {
		t.Run("own rule: no room without "+rule, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := federated.New(c); err == nil {
				t.Error("New() made a room")
			}
		})
	}
	t.Run("own rule: the secret is not printed", func(t *testing.T) {
		room, err := federated.New(good)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v %#v %v %s", good, good, room, room); strings.Contains(got, secret) {
			t.Error("it is")
		}
	})
}

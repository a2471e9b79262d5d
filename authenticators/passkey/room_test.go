package passkey_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/contract"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

func TestContract(t *testing.T) {
	contract.Room(t, func(t *testing.T) contract.Fixture {
		w := aWorld(t, nil)
		k := w.aTrustedKey()
		w.add(holder, k)
		return contract.Fixture{
			Room:    w.room,
			Subject: holder,
			Life:    300_000_000_000,
			Answer:  func(t *testing.T, q json.RawMessage) json.RawMessage { return must(k.Get(q, origin))(t) },
			Advance: w.advance,
			Break: func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.broken = true
			},
		}
	})
}

func TestEvidence(t *testing.T) {
	w := aWorld(t, nil)
	k := w.aTrustedKey()
	a := w.add(holder, k)
	t.Run("own rule: a key is kept with all that its next use needs", func(t *testing.T) {
		if a.Subject != holder || a.Kind != authenticators.KeyKind || a.Model != "Test Key 5" || a.Method != authenticators.FIDO2 ||
			a.Level != authenticators.AAL3 || !bytes.Contains(a.Record, []byte(`"metadata":7`)) || string(a.Mark) != `{"count":0,"flags":69}` {
			t.Errorf("FinishEnrolment() = %+v", a)
		}
		if bytes.Contains(a.Record, []byte(holder)) || bytes.Contains(k.User, []byte(holder)) || len(k.User) != 32 {
			t.Error("the key knows its person by what tells of them")
		}
	})
	t.Run("own rule: the evidence of a key", func(t *testing.T) {
		e, err := w.signIn(k)
		if err != nil {
			t.Fatal(err)
		}
		if e.Subject != holder || e.Method != authenticators.FIDO2 || e.Level != authenticators.AAL3 || !e.At.Equal(noon) ||
			e.Authenticator != a.Called() || e.Use.ID != a.ID || string(e.Use.Mark) != `{"count":1,"flags":5}` {
			t.Errorf("Finish() = %+v", e)
		}
	})
	t.Run("own rule: all keys of a person know them by the same bits, and nobody else's do", func(t *testing.T) {
		second, other := aKey(t), aKey(t)
		w.add(holder, second)
		w.add("555000000102", other)
		if !bytes.Equal(k.User, second.User) || bytes.Equal(k.User, other.User) {
			t.Errorf("%x, %x and %x", k.User, second.User, other.User)
		}
	})
	t.Run("own rule: a suspended key signs nobody in, and only who has it is told", func(t *testing.T) {
		w.held[0].State = authenticators.Suspended
		defer func() { w.held[0].State = authenticators.Active }()
		_, err := w.signIn(k)
		wants(t, err, authenticators.ErrSuspended)
		k.Answer = func(r map[string]any) { r["signature"] = "AAAA" }
		defer func() { k.Answer = nil }()
		_, err = w.signIn(k)
		wants(t, err, passkey.ErrKey)
	})
	t.Run("own rule: a key that nobody holds is refused like a wrong signature", func(t *testing.T) {
		stranger := aKey(t)
		stranger.User = k.User
		_, err := w.signIn(stranger)
		if err != error(passkey.ErrKey) { //nolint:errorlint // it must be that one, with nothing around it
			t.Errorf("Finish() = %v, want ErrKey", err)
		}
	})
	t.Run("own rule: a self-claimed key is never worth more than AAL2", func(t *testing.T) {
		w.held[0].SelfClaimed = true
		defer func() { w.held[0].SelfClaimed = false }()
		e, err := w.signIn(k)
		if err != nil || e.Level != authenticators.AAL2 || e.Method != authenticators.Passkey {
			t.Errorf("Finish() = %+v, %v", e, err)
		}
	})
	t.Run("own rule: a record that cannot be read is an outage", func(t *testing.T) {
		was := w.held[0].Record
		w.held[0].Record = json.RawMessage(`{}`)
		defer func() { w.held[0].Record = was }()
		_, err := w.signIn(k)
		if err == nil || errors.Is(err, authenticators.ErrRefused) {
			t.Errorf("Finish() = %v", err)
		}
	})
}

func TestQuestions(t *testing.T) {
	w := aWorld(t, nil)
	k := w.aTrustedKey()
	w.add(holder, k)
	var got struct {
		Question  string
		PublicKey map[string]any
	}
	t.Run("own rule: a sign-in names no key and asks for verification", func(t *testing.T) {
		if err := json.Unmarshal(w.question(), &got); err != nil {
			t.Fatal(err)
		}
		p := got.PublicKey
		if len(got.Question) != 43 || len(p["challenge"].(string)) != 43 || p["rpId"] != "id.example" || p["userVerification"] != "required" ||
			p["timeout"] != 300_000. || p["allowCredentials"] != nil || len(p) != 4 {
			t.Errorf("Begin() = %+v", got)
		}
	})
	t.Run("own rule: an enrolment asks for a key that finds its person, and for its maker's word", func(t *testing.T) {
		raw := must(w.room.BeginEnrolment(t.Context(), w.anEnrolment(holder)))(t)
		for _, part := range []string{
			`"residentKey":"required"`, `"requireResidentKey":true`, `"userVerification":"required"`, `"attestation":"direct"`,
			`"pubKeyCredParams":[{"type":"public-key","alg":-7},{"type":"public-key","alg":-8},{"type":"public-key","alg":-257}]`,
			`"excludeCredentials":[{"type":"public-key","id":"` + w.held[0].Handle, `"rp":{"name":"Lanyard","id":"id.example"}`,
		} {
			if !strings.Contains(string(raw), part) {
				t.Errorf("BeginEnrolment() = %s, without %s", raw, part)
			}
		}
		if _, err := k.Create(raw, origin); !errors.Is(err, testkey.ErrExcluded) {
			t.Errorf("the same key answered: %v", err)
		}
	})
	t.Run("own rule: no question without random bits, and none for nobody", func(t *testing.T) {
		if _, err := w.room.Begin(t.Context(), authenticators.Login{ID: "x"}); err == nil || errors.Is(err, authenticators.ErrRefused) {
			t.Errorf("Begin() without a browser = %v", err)
		}
		if _, err := w.room.BeginEnrolment(t.Context(), authenticators.Enrolment{ID: "x", Browser: "y"}); err == nil {
			t.Error("BeginEnrolment() of nobody asked")
		}
		dry := aWorld(t, func(c *passkey.Config) { c.Rand = iotest.ErrReader(errors.New("dry")) })
		if _, err := dry.room.Begin(t.Context(), aLogin()); err == nil {
			t.Error("Begin() asked")
		}
	})
}

// A5: what is asked is answered once, by the login, browser, person and
// purpose that it was asked for.
func TestPurpose(t *testing.T) {
	type act struct {
		login     authenticators.Login
		enrolment authenticators.Enrolment
	}
	for _, tt := range []struct {
		rule   string
		change func(a *act)
	}{
		{"A5: another login", func(a *act) { a.login.ID, a.enrolment.ID = "other", "other" }},
		{"A5: another browser", func(a *act) { a.login.Browser, a.enrolment.Browser = "other", "other" }},
		{"A5: another person", func(a *act) { a.login.ID, a.enrolment.Subject = "other", "555000000999" }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := aWorld(t, nil)
			k := w.aTrustedKey()
			a := act{login: aLogin(), enrolment: w.anEnrolment(holder)}
			other := a
			tt.change(&other)

			made := must(k.Create(must(w.room.BeginEnrolment(t.Context(), a.enrolment))(t), origin))(t)
			_, err := w.room.FinishEnrolment(t.Context(), other.enrolment, made)
			wants(t, err, authenticators.ErrAnswer)
			_, err = w.room.FinishEnrolment(t.Context(), a.enrolment, made)
			wants(t, err, authenticators.ErrAnswer) // it was consumed
			w.add(holder, k)

			got := must(k.Get(w.question(), origin))(t)
			_, err = w.room.Finish(t.Context(), other.login, got)
			wants(t, err, authenticators.ErrAnswer)
			if _, err := w.signIn(k); err != nil {
				t.Errorf("Finish() of a new question = %v", err)
			}
		})
	}
	t.Run("A5: another purpose", func(t *testing.T) {
		w := aWorld(t, nil)
		k := w.aTrustedKey()
		w.add(holder, k)
		e := w.anEnrolment(holder)
		e.ID = aLogin().ID
		_, err := w.room.FinishEnrolment(t.Context(), e, must(k.Get(w.question(), origin))(t))
		wants(t, err, authenticators.ErrAnswer)
		e.Subject = "" // as a question of a sign-in is of nobody
		_, err = w.room.FinishEnrolment(t.Context(), e, must(k.Get(w.question(), origin))(t))
		wants(t, err, authenticators.ErrAnswer)
		e.Held, e.Subject = nil, holder
		_, err = w.room.Finish(t.Context(), aLogin(), must(k.Create(must(w.room.BeginEnrolment(t.Context(), e))(t), origin))(t))
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("A5: an enrolment is answered once, in time, and no answer is too long to be judged", func(t *testing.T) {
		w := aWorld(t, nil)
		e := w.anEnrolment(holder)
		made := must(aKey(t).Create(must(w.room.BeginEnrolment(t.Context(), e))(t), origin))(t)
		w.advance(300_000_000_000)
		_, err := w.room.FinishEnrolment(t.Context(), e, made)
		wants(t, err, authenticators.ErrAnswer)
		made = must(aKey(t).Create(must(w.room.BeginEnrolment(t.Context(), e))(t), origin))(t)
		_, err = w.room.FinishEnrolment(t.Context(), e, append(bytes.Repeat([]byte(" "), 64<<10), made...))
		wants(t, err, authenticators.ErrAnswer)
		if _, err = w.room.FinishEnrolment(t.Context(), e, made); err != nil {
			t.Errorf("FinishEnrolment() = %v", err)
		}
		_, err = w.room.FinishEnrolment(t.Context(), e, made)
		wants(t, err, authenticators.ErrAnswer)
	})
}

func TestNew(t *testing.T) {
	good := aWorld(t, nil).setting
	for rule, change := range map[string]func(*passkey.Config){
		"relying party":                        func(c *passkey.Config) { c.RPID = "" },
		"name":                                 func(c *passkey.Config) { c.RPName = "" },
		"origin":                               func(c *passkey.Config) { c.Origins = nil },
		"questions":                            func(c *passkey.Config) { c.Questions = nil },
		"registry":                             func(c *passkey.Config) { c.Held = nil },
		"clock":                                func(c *passkey.Config) { c.Now = nil },
		"origin that is spelt as browsers do":  func(c *passkey.Config) { c.Origins = []string{origin + "/"} },
		"origin in small letters":              func(c *passkey.Config) { c.Origins = []string{"https://ID.example"} },
		"origin of its domain":                 func(c *passkey.Config) { c.Origins = []string{"https://evil-id.example"} },
		"https":                                func(c *passkey.Config) { c.Origins = []string{"http://id.example"} },
		"domain that is a name":                func(c *passkey.Config) { c.RPID, c.Origins = "127.0.0.1", []string{"https://127.0.0.1"} },
		"models that are spelt as AAGUIDs are": func(c *passkey.Config) { c.Policy.Models = []string{"yubikey"} },
		"certification that there is":          func(c *passkey.Config) { c.Policy.Certified = "L1" },
		"grace that is not negative":           func(c *passkey.Config) { c.Policy.Grace = -1 },
	} {
		t.Run("own rule: no room without "+rule, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := passkey.New(c); err == nil {
				t.Error("New() made a room")
			}
		})
	}
	t.Run("own rule: a development service has a room on localhost", func(t *testing.T) {
		c := good
		c.RPID, c.Origins, c.Metadata = "localhost", []string{"http://localhost:8080"}, nil
		must(passkey.New(c))(t)
	})
}

package smartcard_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/contract"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualagent"
)

func TestContract(t *testing.T) {
	contract.Room(t, func(t *testing.T) contract.Fixture {
		w := aWorld(t, nil)
		card := w.goodCard()
		agent := virtualagent.Agent{Desk: w.room, Issuer: issuer, Origin: origin}
		return contract.Fixture{
			Room:    w.room,
			Subject: holder,
			Life:    300 * time.Second,
			Answer: func(t *testing.T, question json.RawMessage) json.RawMessage {
				tx, completion, err := agent.Sign(t.Context(), w.decode(question).Handle, card, passcode)
				if err != nil {
					t.Fatal(err)
				}
				return finishing(t, tx, completion)
			},
			Advance: w.advance,
			Break:   w.server.Close,
		}
	})
}

func finishing(t *testing.T, tx, completion string) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(map[string]string{"tx": tx, "completion": completion})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBegin(t *testing.T) {
	w := aWorld(t, nil)
	b := w.begin()
	for name, v := range map[string]string{"tx": b.Transaction, "handle": b.Handle} {
		if raw, err := base64.RawURLEncoding.DecodeString(v); err != nil || len(raw) != 32 {
			t.Errorf("%s is %q, want 256 bits", name, v)
		}
	}
	if len(b.DisplayCode) != 4 || !b.Expires.Equal(noon.Add(300*time.Second)) {
		t.Errorf("Begin() = %+v", b)
	}
	for rule, login := range map[string]authenticators.Login{
		"X10: a question belongs to a browser": {ID: "login-a"},
		"X10: a question belongs to a login":   {Browser: digestOf('b')},
	} {
		t.Run(rule, func(t *testing.T) {
			if _, err := w.room.Begin(t.Context(), login); err == nil || errors.Is(err, authenticators.ErrRefused) {
				t.Errorf("Begin() = %v, want an error that is no refusal", err)
			}
		})
	}
	t.Run("own rule: no question without random bytes", func(t *testing.T) {
		w := aWorld(t, func(c *smartcard.Config) { c.Rand = iotest.ErrReader(errors.New("dry")) })
		if _, err := w.room.Begin(t.Context(), aLogin()); err == nil {
			t.Error("Begin() asked")
		}
	})
}

func TestFinish(t *testing.T) {
	w := aWorld(t, nil)
	card := w.goodCard()
	settled := func(t *testing.T) (tx, completion string) {
		t.Helper()
		p := w.asked(card)
		completion, err := w.respond(p.Transaction, p, card)
		if err != nil {
			t.Fatal(err)
		}
		return p.Transaction, completion
	}
	t.Run("own rule: the evidence of a card", func(t *testing.T) {
		signed := w.clock()
		tx, completion := settled(t)
		w.advance(59 * time.Second)
		e, err := w.room.Finish(t.Context(), aLogin(), finishing(t, tx, completion))
		if err != nil {
			t.Fatal(err)
		}
		if e.Subject != holder || e.Method != authenticators.Smartcard || e.Level != authenticators.AAL3 ||
			!e.At.Equal(signed) || e.Authenticator != "card:0101" {
			t.Errorf("Finish() = %+v", e)
		}
	})
	t.Run("desk-auth/1: a completion code lives a minute", func(t *testing.T) {
		tx, completion := settled(t)
		w.advance(60 * time.Second)
		_, err := w.room.Finish(t.Context(), aLogin(), finishing(t, tx, completion))
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("X10: a wrong completion code ends the question", func(t *testing.T) {
		tx, completion := settled(t)
		_, err := w.room.Finish(t.Context(), aLogin(), finishing(t, tx, digestOf('x')))
		wants(t, err, authenticators.ErrAnswer)
		_, err = w.room.Finish(t.Context(), aLogin(), finishing(t, tx, completion))
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("X10: a question without an answer cannot be finished", func(t *testing.T) {
		_, err := w.room.Finish(t.Context(), aLogin(), finishing(t, w.begin().Transaction, ""))
		wants(t, err, authenticators.ErrAnswer)
	})
}

func TestNew(t *testing.T) {
	good := aWorld(t, nil).setting
	for rule, change := range map[string]func(*smartcard.Config){
		"issuer":       func(c *smartcard.Config) { c.Issuer = "" },
		"origin":       func(c *smartcard.Config) { c.Origin = "" },
		"transactions": func(c *smartcard.Config) { c.Transactions = nil },
		"cards":        func(c *smartcard.Config) { c.Cards = nil },
		"series":       func(c *smartcard.Config) { c.Rules = nil },
		"revocation":   func(c *smartcard.Config) { c.Revocation = nil },
		"clock":        func(c *smartcard.Config) { c.Now = nil },
	} {
		t.Run("own rule: no room without "+rule, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := smartcard.New(c); err == nil {
				t.Error("New() made a room")
			}
		})
	}
}

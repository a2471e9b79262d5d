package virtualagent_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualagent"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

const (
	issuer = "https://id.example"
	origin = "https://id.example"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func digestOf(b string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(b, 32)))
}

func aQuestion() challenge.Question {
	return challenge.Question{
		Transaction: "tx-1", Issuer: issuer, Origin: origin, ClientID: "demo-rp", ClientName: "Demo application",
		Browser: digestOf("b"), DisplayCode: "0123", Act: challenge.Login, ServerNonce: digestOf("s"),
		Now: noon.Unix(), Expires: noon.Unix() + 300,
		Algs: []challenge.Alg{challenge.ES256, challenge.ES384, challenge.PS256},
	}
}

// desk asks one question and keeps what it is shown.
type desk struct {
	question challenge.Question
	redeemed []smartcard.Agent
	shown    [][]byte
	x5c      [][]byte
	refusal  error
}

func (d *desk) Redeem(_ context.Context, handle string, a smartcard.Agent) (challenge.Question, smartcard.Ahead, error) {
	d.redeemed = append(d.redeemed, a)
	if handle != "handle" {
		return challenge.Question{}, smartcard.Ahead{}, authenticators.ErrAnswer
	}
	return d.question, smartcard.Ahead{}, nil
}

func (d *desk) Respond(_ context.Context, c smartcard.Caller, jws []byte, x5c [][]byte) (string, error) {
	d.shown, d.x5c = append(d.shown, jws), x5c
	return "completion of " + c.Transaction, d.refusal
}

func aCard(t *testing.T) *virtualcard.Card {
	t.Helper()
	ca, err := cardca.New(cardca.Config{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Issue(cardca.Request{
		Key: key.Public(), Serial: "0101", UID: "555000000101", NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	card, err := virtualcard.New(virtualcard.Config{Key: key, Certificate: c, Passcode: "123456", PUK: "12345678"})
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func TestSign(t *testing.T) {
	d, card := &desk{question: aQuestion()}, aCard(t)
	agent := virtualagent.Agent{Desk: d, Issuer: issuer, Origin: origin}
	var runs []challenge.Payload
	for range 2 {
		tx, completion, err := agent.Sign(t.Context(), "handle", card, "123456")
		if err != nil || tx != "tx-1" || completion != "completion of tx-1" {
			t.Fatalf("Sign() = %q, %q, %v", tx, completion, err)
		}
		m, err := challenge.Parse(d.shown[len(d.shown)-1])
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(d.x5c[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(leaf.PublicKey, aQuestion().Algs); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, m.Payload)
	}
	t.Run("desk-auth/1: the agent's nonce and key are of one run", func(t *testing.T) {
		if runs[0].ClientNonce == runs[1].ClientNonce || runs[0].AgentKey == runs[1].AgentKey {
			t.Error("two runs share a nonce or a key")
		}
		if runs[0].AgentKey != d.redeemed[0].KeyThumbprint {
			t.Error("the key that was signed is not the one that redeemed")
		}
	})
	t.Run("desk-auth/1: it says what it is", func(t *testing.T) {
		if p := runs[0]; p.Agent.Name != "virtual" || p.Card.Serial != "0101" || p.Card.GUID != card.GUID() || p.Card.ATR != card.ATR() {
			t.Errorf("signed %+v", p)
		}
	})
}

func TestSignRefuses(t *testing.T) {
	t.Run("own rule: a wrong passcode leaves the handle", func(t *testing.T) {
		d, card := &desk{question: aQuestion()}, aCard(t)
		agent := virtualagent.Agent{Desk: d, Issuer: issuer, Origin: origin}
		_, _, err := agent.Sign(t.Context(), "handle", card, "000000")
		var wrong virtualcard.PINError
		if !errors.As(err, &wrong) || wrong.TriesLeft != 2 || len(d.redeemed) > 0 {
			t.Errorf("Sign() = %v, redeemed %d times", err, len(d.redeemed))
		}
		if _, _, err := agent.Sign(t.Context(), "handle", card, "123456"); err != nil {
			t.Errorf("Sign() = %v", err)
		}
	})
	for rule, change := range map[string]func(*challenge.Question){
		"X9: another issuer is not signed for":   func(q *challenge.Question) { q.Issuer = "https://evil.example" },
		"X9: another origin is not signed for":   func(q *challenge.Question) { q.Origin = "https://evil.example" },
		"X9: another act is not signed":          func(q *challenge.Question) { q.Act = "prescribe" },
		"X9: a hash is not signed for a nonce":   func(q *challenge.Question) { q.ServerNonce = strings.Repeat("00", 32) },
		"desk-auth/1: an algorithm not taken":    func(q *challenge.Question) { q.Algs = []challenge.Alg{challenge.PS256} },
		"desk-auth/1: a question without a name": func(q *challenge.Question) { q.Transaction = "" },
	} {
		t.Run(rule, func(t *testing.T) {
			d := &desk{question: aQuestion()}
			change(&d.question)
			tx, completion, err := virtualagent.Agent{Desk: d, Issuer: issuer, Origin: origin}.Sign(t.Context(), "handle", aCard(t), "123456")
			if err == nil || tx != "" || completion != "" || len(d.shown) > 0 {
				t.Errorf("Sign() = %q, %q, %v; shown %d messages", tx, completion, err, len(d.shown))
			}
			if strings.Contains(rule, "signed for") && strings.Contains(rule, "another") && !errors.Is(err, virtualagent.ErrOtherIssuer) {
				t.Errorf("Sign() = %v, want ErrOtherIssuer", err)
			}
		})
	}
	t.Run("own rule: what the desk says is told", func(t *testing.T) {
		d := &desk{question: aQuestion(), refusal: smartcard.ErrSuspended}
		agent := virtualagent.Agent{Desk: d, Issuer: issuer, Origin: origin}
		if _, _, err := agent.Sign(t.Context(), "handle", aCard(t), "123456"); !errors.Is(err, smartcard.ErrSuspended) {
			t.Errorf("Sign() = %v, want ErrSuspended", err)
		}
		if _, _, err := agent.Sign(t.Context(), "other", aCard(t), "123456"); !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("Sign() = %v, want ErrAnswer", err)
		}
	})
}

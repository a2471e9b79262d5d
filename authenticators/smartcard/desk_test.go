package smartcard_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// tampered is every member that the server compares, changed into another
// that is well formed.
var tampered = []struct {
	member string
	change func(*challenge.Payload)
}{
	{"act", func(p *challenge.Payload) { p.Act = challenge.Unlock }},
	{"iss", func(p *challenge.Payload) { p.Issuer = "https://id.example" }},
	{"origin", func(p *challenge.Payload) { p.Origin = "https://evil.example" }},
	{"client_id", func(p *challenge.Payload) { p.ClientID = "demo-finder" }},
	{"tx", func(p *challenge.Payload) { p.Transaction = digestOf('x') }},
	{"sn", func(p *challenge.Payload) { p.ServerNonce = digestOf('x') }},
	{"bsh", func(p *challenge.Payload) { p.Browser = digestOf('x') }},
	{"epk", func(p *challenge.Payload) { p.AgentKey = digestOf('x') }},
	{"iat before the question", func(p *challenge.Payload) { p.IssuedAt -= 61 }},
	{"iat after now", func(p *challenge.Payload) { p.IssuedAt += 61 }},
	{"exp later", func(p *challenge.Payload) { p.Expires++ }},
	{"exp earlier", func(p *challenge.Payload) { p.Expires-- }},
	{"card.cert_sn", func(p *challenge.Payload) { p.Card.Serial = "0102" }},
}

func TestRespondCompares(t *testing.T) {
	w := aWorld(t, nil)
	card := w.goodCard()
	t.Run("desk-auth/1: the message as it was asked", func(t *testing.T) { wants(t, w.answerWith(card), nil) })
	t.Run("desk-auth/1: iat a little off", func(t *testing.T) {
		for _, off := range []int64{-60, 60} {
			p := w.asked(card)
			p.IssuedAt += off
			_, err := w.respond(p.Transaction, p, card)
			wants(t, err, nil)
		}
	})
	for _, tt := range tampered {
		t.Run("desk-auth/1: "+tt.member+" is compared", func(t *testing.T) {
			p := w.asked(card)
			tx := p.Transaction
			tt.change(&p)
			_, err := w.respond(tx, p, card)
			wants(t, err, authenticators.ErrAnswer)
		})
	}
	t.Run("desk-auth/1: v is compared", func(t *testing.T) {
		p := w.asked(card)
		_, err := w.forge(p, card, `"v":1`, `"v":2`)
		wants(t, err, authenticators.ErrAnswer)
	})
}

// forge changes the text of a signed message and leaves its signature.
func (w *world) forge(p challenge.Payload, card *virtualcard.Card, old, new string) (string, error) {
	w.t.Helper()
	parts := strings.Split(string(w.sign(p, card)), ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		w.t.Fatal(err)
	}
	changed := bytes.Replace(payload, []byte(old), []byte(new), 1)
	if bytes.Equal(changed, payload) {
		w.t.Fatal("nothing was changed")
	}
	jws := parts[0] + "." + base64.RawURLEncoding.EncodeToString(changed) + "." + parts[2]
	return w.room.Respond(w.t.Context(), caller(p.Transaction), []byte(jws), [][]byte{card.Certificate().Raw})
}

// TestRespondVerifies asks a question for another value than the card signs,
// and puts the right value in afterwards: only the signature can tell.
func TestRespondVerifies(t *testing.T) {
	w := aWorld(t, nil)
	card := w.goodCard()
	for _, tt := range tampered {
		t.Run("desk-auth/1: "+tt.member+" is signed", func(t *testing.T) {
			right := w.asked(card)
			wrong := right
			tt.change(&wrong)
			parts := strings.Split(string(w.sign(wrong, card)), ".")
			b, err := json.Marshal(right)
			if err != nil {
				t.Fatal(err)
			}
			jws := parts[0] + "." + base64.RawURLEncoding.EncodeToString(b) + "." + parts[2]
			_, err = w.room.Respond(t.Context(), caller(right.Transaction), []byte(jws), [][]byte{card.Certificate().Raw})
			wants(t, err, authenticators.ErrAnswer)
			if !errors.Is(err, challenge.ErrSignature) {
				t.Errorf("Respond() = %v, want ErrSignature for the log", err)
			}
		})
	}
	t.Run("desk-auth/1: a duplicate member", func(t *testing.T) {
		_, err := w.forge(w.asked(card), card, `"act":"login"`, `"act":"login","act":"login"`)
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("desk-auth/1: an unknown member", func(t *testing.T) {
		_, err := w.forge(w.asked(card), card, `"v":1`, `"v":1,"admin":true`)
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("desk-auth/1: x5t#S256 is the certificate's", func(t *testing.T) {
		// One key with two certificates: signature and serial fit, the header does not.
		again, err := w.ca.Issue(w.request(card.Certificate().PublicKey, "0101"))
		if err != nil {
			t.Fatal(err)
		}
		p := w.asked(card)
		_, err = w.room.Respond(t.Context(), caller(p.Transaction), w.sign(p, card), [][]byte{again.Raw})
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("desk-auth/1: another card's signature", func(t *testing.T) {
		other := w.issue(virtualcard.P256, "0102", smartcard.Active, nil)
		p := w.asked(card)
		_, err := w.room.Respond(t.Context(), caller(p.Transaction), w.sign(p, other), [][]byte{card.Certificate().Raw})
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("desk-auth/1: certificates", func(t *testing.T) {
		for _, x5c := range [][][]byte{
			nil, {{}}, {[]byte("no certificate")}, {append(bytes.Clone(card.Certificate().Raw), 0)},
			{bytes.Repeat([]byte{0x30}, 8<<10+1)}, make([][]byte, 9),
		} {
			p := w.asked(card)
			_, err := w.room.Respond(t.Context(), caller(p.Transaction), w.sign(p, card), x5c)
			wants(t, err, authenticators.ErrAnswer)
		}
	})
}

func TestRespondLimits(t *testing.T) {
	w := aWorld(t, nil)
	card := w.goodCard()
	for n, want := range map[int]error{1: nil, 8: nil, 9: authenticators.ErrAnswer} {
		x5c := make([][]byte, n)
		x5c[0] = card.Certificate().Raw
		p := w.asked(card)
		_, err := w.room.Respond(t.Context(), caller(p.Transaction), w.sign(p, card), x5c)
		wants(t, err, want)
	}
	for size, want := range map[int]error{7 << 10: nil, 8 << 10: authenticators.ErrAnswer} {
		c := aChain(t)
		c.leaf.template.ExtraExtensions = odd(false)
		c.leaf.template.ExtraExtensions[0].Value = make([]byte, size)
		m := c.make(t, nil)
		wants(t, m.room.Inspect(t.Context(), m.leaf), want)
		wants(t, m.answerWith(m.card(c.leaf.key, m.leaf)), want)
	}
}

func TestRespondAlgorithms(t *testing.T) {
	for _, kind := range []virtualcard.KeyType{virtualcard.P256, virtualcard.P384, virtualcard.RSA2048} {
		t.Run("X5: "+string(kind)+" is accepted", func(t *testing.T) {
			w := aWorld(t, nil)
			wants(t, w.answerWith(w.issue(kind, "0101", smartcard.Active, nil)), nil)
		})
	}
	t.Run("desk-auth/1: an algorithm that is not asked for", func(t *testing.T) {
		w := aWorld(t, func(c *smartcard.Config) { c.Algs = []challenge.Alg{challenge.ES384} })
		wants(t, w.answerWith(w.goodCard()), authenticators.ErrAnswer)
		wants(t, w.answerWith(w.issue(virtualcard.P384, "0102", smartcard.Active, nil)), nil)
	})
}

func TestOnce(t *testing.T) {
	w := aWorld(t, nil)
	card := w.goodCard()
	t.Run("X10: a replayed message is refused", func(t *testing.T) {
		p := w.asked(card)
		jws, x5c := w.sign(p, card), [][]byte{card.Certificate().Raw}
		_, err := w.room.Respond(t.Context(), caller(p.Transaction), jws, x5c)
		wants(t, err, nil)
		_, err = w.room.Respond(t.Context(), caller(p.Transaction), jws, x5c)
		wants(t, err, authenticators.ErrAnswer)
		other := w.asked(card)
		_, err = w.room.Respond(t.Context(), caller(other.Transaction), jws, x5c)
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("X10: a wrong message uses the question up", func(t *testing.T) {
		p := w.asked(card)
		_, err := w.room.Respond(t.Context(), caller(p.Transaction), []byte("no message"), nil)
		wants(t, err, authenticators.ErrAnswer)
		_, err = w.respond(p.Transaction, p, card)
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("X10: another agent's answer is refused and uses nothing up", func(t *testing.T) {
		p := w.asked(card)
		jws, x5c := w.sign(p, card), [][]byte{card.Certificate().Raw}
		_, err := w.room.Respond(t.Context(), smartcard.Caller{Transaction: p.Transaction, KeyThumbprint: digestOf('x')}, jws, x5c)
		wants(t, err, authenticators.ErrAnswer)
		wants(t, err, smartcard.ErrNotAsked)
		_, err = w.room.Respond(t.Context(), caller(p.Transaction), jws, x5c)
		wants(t, err, nil)
	})
	t.Run("X10: of 50 messages at once one wins", func(t *testing.T) {
		p := w.asked(card)
		jws, x5c := w.sign(p, card), [][]byte{card.Certificate().Raw}
		var wg sync.WaitGroup
		won := make(chan struct{}, 50)
		for range cap(won) {
			wg.Go(func() {
				_, err := w.room.Respond(t.Context(), caller(p.Transaction), jws, x5c)
				if err == nil {
					won <- struct{}{}
					return
				}
				wants(t, err, authenticators.ErrAnswer)
			})
		}
		wg.Wait()
		if n := len(won); n != 1 {
			t.Errorf("%d won, want 1", n)
		}
	})
	t.Run("X10: an expired question is refused", func(t *testing.T) {
		for after, want := range map[time.Duration]error{299 * time.Second: nil, 300 * time.Second: authenticators.ErrAnswer} {
			p := w.asked(card)
			w.advance(after)
			_, err := w.respond(p.Transaction, p, card)
			wants(t, err, want)
		}
	})
}

// late is a store that does not see that a question has ended.
type late struct{ smartcard.Transactions }

func (l late) Answer(ctx context.Context, c smartcard.Caller, _ time.Time) (smartcard.Transaction, error) {
	return l.Transactions.Answer(ctx, c, noon)
}

func TestExpiredForTheRoom(t *testing.T) {
	for after, want := range map[time.Duration]error{299 * time.Second: nil, 300 * time.Second: authenticators.ErrAnswer} {
		w := aWorld(t, func(c *smartcard.Config) { c.Transactions = late{c.Transactions} })
		card := w.goodCard()
		p := w.asked(card)
		w.advance(after)
		_, err := w.respond(p.Transaction, p, card)
		wants(t, err, want)
	}
}

func TestRedeem(t *testing.T) {
	w := aWorld(t, nil)
	t.Run("desk-auth/1: the question", func(t *testing.T) {
		b := w.begin()
		q, _, err := w.room.Redeem(t.Context(), b.Handle, anAgent())
		if err != nil {
			t.Fatal(err)
		}
		if q.Transaction != b.Transaction || q.Issuer != issuer || q.Origin != origin || q.ClientID != "demo-rp" ||
			q.ClientName != "Demo application" || q.Browser != digestOf('b') || q.DisplayCode != b.DisplayCode ||
			q.Act != challenge.Login || !challenge.IsDigest(q.ServerNonce) || q.Now != noon.Unix() ||
			q.Expires != noon.Unix()+300 || q.PINTimer != 300 || len(q.Algs) != 3 {
			t.Errorf("Redeem() = %+v", q)
		}
	})
	t.Run("desk-auth/1: a handle works once", func(t *testing.T) {
		b := w.begin()
		_, _, err := w.room.Redeem(t.Context(), b.Handle, anAgent())
		wants(t, err, nil)
		_, _, err = w.room.Redeem(t.Context(), b.Handle, anAgent())
		wants(t, err, authenticators.ErrAnswer)
	})
	t.Run("desk-auth/1: a question's public name is no handle", func(t *testing.T) {
		b := w.begin()
		_, _, err := w.room.Redeem(t.Context(), b.Transaction, anAgent())
		wants(t, err, authenticators.ErrAnswer)
		_, _, err = w.room.Redeem(t.Context(), b.Handle, anAgent())
		wants(t, err, nil)
	})
	t.Run("desk-auth/1: a handle lives a minute", func(t *testing.T) {
		for after, want := range map[time.Duration]error{59 * time.Second: nil, 60 * time.Second: authenticators.ErrAnswer} {
			b := w.begin()
			w.advance(after)
			_, _, err := w.room.Redeem(t.Context(), b.Handle, anAgent())
			wants(t, err, want)
		}
	})
	t.Run("desk-auth/1: an agent has a name, a version and a key", func(t *testing.T) {
		for _, change := range []func(*smartcard.Agent){
			func(a *smartcard.Agent) { a.Name = "" },
			func(a *smartcard.Agent) { a.Version = "1\n2" },
			func(a *smartcard.Agent) { a.OS = strings.Repeat("x", 1000) },
			func(a *smartcard.Agent) { a.KeyThumbprint = "" },
			func(a *smartcard.Agent) { a.Build = "\x00" },
		} {
			b, a := w.begin(), anAgent()
			change(&a)
			_, _, err := w.room.Redeem(t.Context(), b.Handle, a)
			wants(t, err, authenticators.ErrAnswer)
			_, _, err = w.room.Redeem(t.Context(), b.Handle, anAgent())
			wants(t, err, nil)
		}
	})
}

// unsettled is a store that loses the connection before it keeps the outcome.
type unsettled struct{ smartcard.Transactions }

func (unsettled) Settle(context.Context, smartcard.Transaction, string, authenticators.Evidence, time.Time) error {
	return errOutage
}

func TestOutage(t *testing.T) {
	outage := func(t *testing.T, err error) {
		t.Helper()
		if err == nil || errors.Is(err, authenticators.ErrRefused) {
			t.Errorf("got %v, want an error that is no refusal", err)
		}
	}
	t.Run("own rule: a store that does not answer refuses nobody", func(t *testing.T) {
		w := aWorld(t, nil)
		card := w.goodCard()
		b, p := w.begin(), w.asked(card)
		w.server.Close()
		_, _, err := w.room.Redeem(t.Context(), b.Handle, anAgent())
		outage(t, err)
		_, err = w.respond(p.Transaction, p, card)
		outage(t, err)
	})
	t.Run("own rule: an outcome that is not kept is an outage", func(t *testing.T) {
		w := aWorld(t, func(c *smartcard.Config) { c.Transactions = unsettled{c.Transactions} })
		outage(t, w.answerWith(w.goodCard()))
	})
	t.Run("own rule: a registry that does not answer refuses nobody", func(t *testing.T) {
		w := aWorld(t, nil)
		card := w.goodCard()
		w.cards[[2]string{w.ca.IssuerID(), "0101"}] = smartcard.Card{Serial: "outage"}
		outage(t, w.answerWith(card))
		outage(t, w.room.Inspect(t.Context(), card.Certificate()))
		if err := w.room.Inspect(t.Context(), card.Certificate()); !errors.Is(err, errOutage) {
			t.Errorf("Inspect() = %v, want the registry's error", err)
		}
	})
}

package smartcard_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

func TestKnown(t *testing.T) {
	in := func(state smartcard.State) func(*world) *virtualcard.Card {
		return func(w *world) *virtualcard.Card { return w.issue(virtualcard.P256, "0101", state, nil) }
	}
	between := func(from, to time.Duration) func(*world) *virtualcard.Card {
		return func(w *world) *virtualcard.Card {
			return w.issue(virtualcard.P256, "0101", smartcard.Active, func(r *cardca.Request) { r.NotBefore, r.NotAfter = noon.Add(from), noon.Add(to) })
		}
	}
	for name, card := range map[string]func(*world) *virtualcard.Card{
		"is suspended": in(smartcard.Suspended), "is blocked": in(smartcard.Blocked), "is revoked": in(smartcard.Revoked),
		"is of a series that has ended":     func(w *world) *virtualcard.Card { w.series[9] = noon; return w.goodCard() },
		"its authority says that it is not": func(w *world) *virtualcard.Card { w.sources.status = revocation.Revoked; return w.goodCard() },
		"nobody can say anything of":        func(w *world) *virtualcard.Card { w.sources.status = revocation.Unavailable; return w.goodCard() },
		"has ended":                         between(-48*time.Hour, -time.Hour), "begins later": between(time.Hour, 48*time.Hour),
	} {
		t.Run("own rule: whose card it is goes with its refusal, of one that "+name, func(t *testing.T) {
			w := aWorld(t, nil)
			is := card(w)
			for _, err := range []error{w.room.Inspect(t.Context(), is.Certificate()), w.answerWith(is)} {
				known, ok := errors.AsType[smartcard.Known](err)
				if !ok || known.Subject() != holder || known.Authenticator() != "card:0101" || !errors.Is(err, authenticators.ErrRefused) {
					t.Errorf("%v is of %+v", err, known)
				}
			}
		})
	}
	for name, card := range map[string]func(*world) *virtualcard.Card{
		"nobody has": func(w *world) *virtualcard.Card { defer clear(w.cards); return w.goodCard() },
		"nobody has, and has ended": func(w *world) *virtualcard.Card {
			defer clear(w.cards)
			return between(-48*time.Hour, -time.Hour)(w)
		},
		"a stranger has made":                func(w *world) *virtualcard.Card { return w.strangers(noon.Add(time.Hour)) },
		"a stranger has made, and has ended": func(w *world) *virtualcard.Card { return w.strangers(noon.Add(-time.Hour)) },
	} {
		t.Run("own rule: nobody is named by a card that "+name, func(t *testing.T) {
			w := aWorld(t, nil)
			is := card(w)
			for _, err := range []error{w.room.Inspect(t.Context(), is.Certificate()), w.answerWith(is)} {
				if known, ok := errors.AsType[smartcard.Known](err); ok || !errors.Is(err, authenticators.ErrRefused) {
					t.Errorf("%v is of %+v", err, known)
				}
			}
		})
	}
	t.Run("own rule: nobody is named by what their card has not signed as it was asked, nor in an outage", func(t *testing.T) {
		w := aWorld(t, nil)
		is := in(smartcard.Revoked)(w)
		p := w.asked(is)
		forged := p
		forged.ClientID = "other"
		_, err := w.respond(p.Transaction, forged, is)
		if known, ok := errors.AsType[smartcard.Known](err); ok || !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("%v is of %+v", err, known)
		}
		w.series[9] = noon
		for at, c := range w.cards {
			c.State, c.Series = smartcard.Active, outage
			w.cards[at] = c
		}
		err = w.room.Inspect(t.Context(), is.Certificate())
		if known, ok := errors.AsType[smartcard.Known](err); ok || !errors.Is(err, errOutage) {
			t.Errorf("%v is of %+v", err, known)
		}
	})
}

// strangers is a card with the number and the uid of one that somebody has, by
// an authority of its maker's.
func (w *world) strangers(ends time.Time) *virtualcard.Card {
	w.t.Helper()
	w.goodCard()
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		w.t.Fatal(err)
	}
	ca, err := cardca.New(cardca.Config{Now: w.clock})
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.request(key.Public(), "0101")
	r.NotBefore, r.NotAfter = ends.Add(-time.Hour), ends
	c, err := ca.Issue(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if challenge.Serial(c) != "0101" {
		w.t.Fatalf("its number is %s", challenge.Serial(c))
	}
	return w.card(key, c)
}

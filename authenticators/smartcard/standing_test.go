package smartcard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

var errFrozen = errors.New("the responder does not answer")

func TestRevocation(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		status revocation.Status
		err    error
		soft   bool
		want   error
		level  authenticators.Level
		flag   string
	}{
		{"X7: a certificate that is good", revocation.Good, nil, false, nil, authenticators.AAL3, ""},
		{"X7: a certificate that is revoked", revocation.Revoked, nil, false, smartcard.ErrRevoked, 0, ""},
		{"X7: a certificate that its authority does not know", revocation.Unknown, nil, false, smartcard.ErrUnchecked, 0, ""},
		{"X8: nobody can say", revocation.Unavailable, errFrozen, false, smartcard.ErrUnchecked, 0, ""},
		{"X8: nobody says anything at all", 0, nil, false, smartcard.ErrUnchecked, 0, ""},
		{"X8: soft, and it is good", revocation.Good, nil, true, nil, authenticators.AAL3, ""},
		{"X8: soft, and nobody can say", revocation.Unavailable, errFrozen, true, nil, authenticators.AAL2, smartcard.Unchecked},
		{"X8: soft, and revoked", revocation.Revoked, nil, true, smartcard.ErrRevoked, 0, ""},
		{"X8: soft, and unknown", revocation.Unknown, nil, true, smartcard.ErrUnchecked, 0, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := aWorld(t, func(c *smartcard.Config) { c.Soft = tt.soft })
			w.sources.status, w.sources.err = tt.status, tt.err
			card := w.goodCard()
			wants(t, w.room.Inspect(t.Context(), card.Certificate()), tt.want)
			p := w.asked(card)
			completion, err := w.respond(p.Transaction, p, card)
			wants(t, err, tt.want)
			if tt.err != nil && tt.want != nil && !errors.Is(err, errFrozen) {
				t.Errorf("%v does not say why, for the log", err)
			}
			if tt.want != nil {
				return
			}
			e, err := w.room.Finish(t.Context(), aLogin(), finishing(t, p.Transaction, completion))
			if err != nil || e.Level != tt.level || e.Flag != tt.flag {
				t.Errorf("Finish() = %+v, %v; want level %d and flag %q", e, err, tt.level, tt.flag)
			}
		})
	}
	t.Run("own rule: who goes away while sources are asked has no word about the card", func(t *testing.T) {
		for _, soft := range []bool{false, true} {
			w := aWorld(t, func(c *smartcard.Config) { c.Soft = soft })
			w.sources.status, w.sources.err = revocation.Unavailable, context.Canceled
			ctx, leave := context.WithCancel(t.Context())
			leave()
			if err := w.room.Inspect(ctx, w.goodCard().Certificate()); !errors.Is(err, context.Canceled) || errors.Is(err, authenticators.ErrRefused) {
				t.Errorf("Inspect() = %v", err)
			}
		}
	})
	t.Run("own rule: nobody is asked about a card that is refused anyway", func(t *testing.T) {
		w := aWorld(t, nil)
		wants(t, w.room.Inspect(t.Context(), w.issue(virtualcard.P256, "0101", smartcard.Suspended, nil).Certificate()), smartcard.ErrSuspended)
		card := w.goodCard()
		clear(w.cards)
		wants(t, w.room.Inspect(t.Context(), card.Certificate()), smartcard.ErrNotRegistered)
		if w.sources.asked != 0 {
			t.Errorf("sources were asked %d times", w.sources.asked)
		}
	})
}

// TestRevocationInEarnest has a card judged by an authority's own answers.
func TestRevocationInEarnest(t *testing.T) {
	w := aWorld(t, nil)
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	var err error
	if w.ca, err = cardca.New(cardca.Config{Now: w.clock, OCSP: server.URL + "/ocsp", CRL: server.URL + "/crl"}); err != nil {
		t.Fatal(err)
	}
	handler = w.ca.Handler()
	c := w.setting
	c.Roots, c.Intermediates = w.ca.Pool(), w.ca.Intermediates()
	if c.Revocation, err = revocation.New(revocation.Config{Client: server.Client(), Now: w.clock, DemandNonce: true}); err != nil {
		t.Fatal(err)
	}
	if w.room, err = smartcard.New(c); err != nil {
		t.Fatal(err)
	}
	card := w.goodCard()
	t.Run("X7: a card before its certificate is revoked", func(t *testing.T) { wants(t, w.answerWith(card), nil) })
	t.Run("X7: a card after its certificate is revoked", func(t *testing.T) {
		w.advance(time.Minute)
		if err := w.ca.Revoke("0101"); err != nil {
			t.Fatal(err)
		}
		wants(t, w.room.Inspect(t.Context(), card.Certificate()), smartcard.ErrRevoked)
		wants(t, w.answerWith(card), smartcard.ErrRevoked)
	})
}

func TestSeries(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	midnight := func(month time.Month, day int) time.Time { return time.Date(2030, month, day, 0, 0, 0, 0, london) }
	for rule, from := range map[string]time.Time{
		"smartcard: a series is blocked from midnight on, in winter":           midnight(1, 15),
		"smartcard: on the day on which summer time begins":                    midnight(3, 31),
		"smartcard: on the day after, when midnight in London is 23:00 UTC":    midnight(4, 1),
		"smartcard: on the day on which summer time ends":                      midnight(10, 27),
		"smartcard: on the day after, when midnight in London is midnight UTC": midnight(10, 28),
	} {
		t.Run(rule, func(t *testing.T) {
			w := aWorld(t, nil)
			w.series[9] = from
			w.now = from.Add(-time.Second).UTC()
			card := w.issue(virtualcard.P256, "0101", smartcard.Active, func(r *cardca.Request) { r.NotAfter = from.AddDate(1, 0, 0) })
			wants(t, w.room.Inspect(t.Context(), card.Certificate()), nil)
			wants(t, w.answerWith(card), nil)
			for range 2 { // the first instant, and a second later
				w.advance(time.Second)
				wants(t, w.answerWith(card), smartcard.ErrSeries)
				err := w.room.Inspect(t.Context(), card.Certificate())
				wants(t, err, smartcard.ErrSeries)
				if ended, ok := errors.AsType[smartcard.SeriesEnded](err); !ok || !ended.From.Equal(from) {
					t.Errorf("%v does not say since when", err)
				}
			}
			if w.sources.asked != 2 {
				t.Errorf("sources were asked %d times", w.sources.asked)
			}
		})
	}
	t.Run("smartcard: another series is not blocked", func(t *testing.T) {
		w := aWorld(t, nil)
		w.series[8] = noon.Add(-time.Hour)
		wants(t, w.answerWith(w.goodCard()), nil)
	})
	t.Run("own rule: where nothing can be known of a series, nobody gets in", func(t *testing.T) {
		w := aWorld(t, nil)
		card := w.goodCard()
		w.cards[[2]string{w.ca.IssuerID(), "0101"}] = smartcard.Card{Serial: "0101", Series: outage, State: smartcard.Active, Holder: holder}
		if err := w.answerWith(card); !errors.Is(err, errOutage) || errors.Is(err, authenticators.ErrRefused) {
			t.Errorf("Respond() = %v, want an outage", err)
		}
	})
}

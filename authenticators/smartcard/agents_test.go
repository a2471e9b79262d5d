package smartcard_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// The rules about agents are those of series, in world_test.go.

func TestAgentRules(t *testing.T) {
	soon := noon.AddDate(0, 0, 20)
	for version, want := range map[string]struct {
		soon  time.Time
		ended bool
	}{
		"0.0.9":       {ended: true},
		"0.0.9.99":    {ended: true},
		"dev":         {ended: true}, // nobody can place it
		"0.1.0-rc1":   {ended: true},
		"":            {ended: true},
		"0.1.0":       {soon: soon},
		"0.1":         {soon: soon}, // the same version
		"0.1.2":       {soon: noon.AddDate(0, 0, 30)},
		"0.1.9":       {soon: soon},
		"0.1.10":      {soon: noon.AddDate(0, 0, 30)}, // numbers, not letters
		"0.2.0":       {},
		"0.10":        {},
		"8.9999999.1": {},
	} {
		t.Run("smartcard: an agent of version "+version+" is taken as the rules say", func(t *testing.T) {
			w := aWorld(t, nil)
			a := anAgent()
			a.Name, a.Version = "lanyard-agent", version
			if version == "" {
				a.Version = "?"
			}
			b := w.begin()
			q, ahead, err := w.room.Redeem(t.Context(), b.Handle, a)
			if ended, is := errors.AsType[smartcard.AgentEnded](err); is != want.ended || err != nil != want.ended {
				t.Fatalf("Redeem() = %v; want it ended: %v", err, want.ended)
			} else if is && (!errors.Is(err, smartcard.ErrAgent) || !errors.Is(err, authenticators.ErrRefused) || !ended.From.Equal(noon.AddDate(-1, 0, 0))) {
				t.Errorf("it says %v", err)
			}
			if !ahead.Agent.Equal(want.soon) {
				t.Errorf("it ends at %v, want %v", ahead.Agent, want.soon)
			}
			d, err := w.store.Desk(t.Context(), b.Transaction, w.clock())
			if err != nil || !d.Agent.Ends.Equal(want.soon) {
				t.Errorf("Desk() = %+v, %v", d, err)
			}
			if want.ended {
				if q.Transaction != b.Transaction || q.ServerNonce != "" || d.Stage != smartcard.Answered {
					t.Errorf("an old agent got %+v, and the desk is %s", q, d.Stage)
				}
			}
		})
	}
	t.Run("own rule: a rule about another program is none about this", func(t *testing.T) {
		w := aWorld(t, nil)
		if _, _, err := w.room.Redeem(t.Context(), w.begin().Handle, anAgent()); err != nil {
			t.Error(err)
		}
	})
}

func TestShow(t *testing.T) {
	show := func(w *world, card *virtualcard.Card) (smartcard.Ahead, smartcard.Stage, error) {
		b := w.begin()
		if _, _, err := w.room.Redeem(t.Context(), b.Handle, anAgent()); err != nil {
			t.Fatal(err)
		}
		ahead, err := w.room.Show(t.Context(), caller(b.Transaction), smartcard.Transaction{}, [][]byte{card.Certificate().Raw})
		d, err2 := w.store.Desk(t.Context(), b.Transaction, w.clock())
		if err2 != nil {
			t.Fatal(err2)
		}
		return ahead, d.Stage, err
	}
	t.Run("smartcard: a card that may sign in leaves the question open", func(t *testing.T) {
		w := aWorld(t, nil)
		ahead, stage, err := show(w, w.goodCard())
		wants(t, err, nil)
		if stage != smartcard.Redeemed || !ahead.Series.IsZero() || !ahead.Certificate.Equal(noon.Add(24*time.Hour)) {
			t.Errorf("Show() = %+v at %s", ahead, stage)
		}
	})
	t.Run("smartcard: a card that may not is refused before its passcode, and the question has ended", func(t *testing.T) {
		w := aWorld(t, nil)
		w.series[9] = noon
		_, stage, err := show(w, w.goodCard())
		wants(t, err, smartcard.ErrSeries)
		if stage != smartcard.Answered {
			t.Errorf("the desk is %s", stage)
		}
	})
	t.Run("own rule: who did not redeem learns nothing, and ends nothing", func(t *testing.T) {
		w := aWorld(t, nil)
		w.series[9] = noon
		b := w.begin()
		if _, _, err := w.room.Redeem(t.Context(), b.Handle, anAgent()); err != nil {
			t.Fatal(err)
		}
		c := caller(b.Transaction)
		c.KeyThumbprint = digestOf('x')
		for _, asked := range []smartcard.Transaction{{}, {Former: authenticators.Former{Only: true}}} {
			_, err := w.room.Show(t.Context(), c, asked, [][]byte{w.goodCard().Certificate().Raw})
			wants(t, err, smartcard.ErrNotAsked)
		}
		if d, err := w.store.Desk(t.Context(), b.Transaction, w.clock()); err != nil || d.Stage != smartcard.Redeemed {
			t.Errorf("Desk() = %+v, %v", d, err)
		}
	})
	t.Run("own rule: no card is judged, shown or answering, where only a session that it opened before is taken", func(t *testing.T) {
		for _, shows := range []bool{true, false} {
			w := aWorld(t, nil)
			l := aLogin()
			l.Former.Only = true
			raw, err := w.room.Begin(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			b := w.decode(raw)
			if _, _, err := w.room.Redeem(t.Context(), b.Handle, anAgent()); err != nil {
				t.Fatal(err)
			}
			d, err := w.store.Desk(t.Context(), b.Transaction, w.clock())
			if err != nil {
				t.Fatal(err)
			}
			c, x5c := caller(b.Transaction), [][]byte{w.goodCard().Certificate().Raw}
			if shows {
				_, err = w.room.Show(t.Context(), c, d.Transaction, x5c)
			} else {
				_, err = w.room.Respond(t.Context(), c, nil, x5c)
			}
			wants(t, err, smartcard.ErrFormerOnly)
			if d, err := w.store.Desk(t.Context(), b.Transaction, w.clock()); err != nil || d.Stage != smartcard.Answered {
				t.Errorf("Desk() = %+v, %v", d, err)
			}
		}
	})
	for rule, days := range map[string]int{"smartcard: what ends in a month is said": 30, "smartcard: what ends later is not": 31} {
		t.Run(rule, func(t *testing.T) {
			w := aWorld(t, nil)
			w.series[9] = noon.AddDate(0, 0, days)
			ahead, _, err := show(w, w.goodCard())
			wants(t, err, nil)
			if ahead.Series.IsZero() == (days == 30) {
				t.Errorf("Show() = %+v", ahead)
			}
		})
	}
	t.Run("smartcard: evidence ends with the series, where that is before the certificate", func(t *testing.T) {
		w := aWorld(t, nil)
		card := w.goodCard()
		w.series[9] = card.Certificate().NotAfter.Add(-time.Hour)
		p := w.asked(card)
		completion, err := w.respond(p.Transaction, p, card)
		wants(t, err, nil)
		_, e, err := w.store.Complete(t.Context(), p.Transaction, completion, w.clock())
		wants(t, err, nil)
		if !e.Ends.Equal(w.series[9]) || e.EndsWith != authenticators.WithSeries {
			t.Errorf("evidence ends at %v with %q", e.Ends, e.EndsWith)
		}
	})
}

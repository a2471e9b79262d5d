package card

import (
	"crypto"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
)

func TestPCSCD(t *testing.T) {
	v := virtualreader.Start(t)
	t.Setenv("PCSCLITE_CSOCK_NAME", v.Socket)
	// empty waits until pcscd has missed the cards of the test before.
	empty := func(t *testing.T) {
		t.Helper()
		var seen []reader
		for {
			now, err := pcscd(v.Socket).Readers(t.Context(), seen)
			if err != nil {
				t.Fatal(err)
			}
			if seen = now; !slices.ContainsFunc(now, func(r reader) bool { return r.present }) {
				return
			}
		}
	}
	wait := func(t *testing.T) Card {
		t.Helper()
		c, err := Readers{}.Wait(t.Context(), func(Waiting) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	for name, tt := range map[string]struct {
		kind virtualcard.KeyType
		atr  []byte
	}{
		"RSA-2048, T=0": {virtualcard.RSA2048, virtualcard.T0ATR()},
		"RSA-2048, T=1": {virtualcard.RSA2048, virtualcard.DefaultATR()},
		"P-256, T=0":    {virtualcard.P256, virtualcard.T0ATR()},
		"P-384, T=1":    {virtualcard.P384, virtualcard.DefaultATR()},
	} {
		t.Run("own rule: pcscd lends a card: "+name, func(t *testing.T) {
			empty(t)
			inside := ofKind(t, tt.kind, "Dr Asha Smith", func(c *virtualcard.Config) { c.ATR = tt.atr })
			var told []Waiting
			found := make(chan Card, 1)
			go func() {
				c, err := Readers{}.Wait(t.Context(), func(w Waiting) {
					told = append(told, w)
				})
				if err != nil {
					t.Error(err)
				}
				found <- c
			}()
			defer v.Insert(t, 0, inside)()
			c := <-found
			if c == nil {
				return
			}
			defer func() { _ = c.Close() }()
			if a := c.About(); a.GUID != inside.GUID() || a.ATR != inside.ATR() || a.TriesLeft != 3 || a.Reader == "" {
				t.Errorf("About() = %+v", a)
			}
			if err := c.Use([]byte("111111"), proves); !errors.Is(err, PINError{2}) {
				t.Errorf("a wrong passcode: %v", err)
			}
			if err := c.Use([]byte("123456"), proves); err != nil {
				t.Errorf("the right one: %v", err)
			}
			if err := c.Use([]byte("123456"), proves); err != nil {
				t.Errorf("and again: %v", err)
			}
		})
	}
	t.Run("own rule: pcscd tells that a card was taken out, and it signs nothing", func(t *testing.T) {
		empty(t)
		takeOut := v.Insert(t, 0, aCard(t, "Asha", nil))
		c := wait(t)
		err := c.Use([]byte("123456"), func(k crypto.Signer) error {
			takeOut()
			return proves(k)
		})
		if !errors.Is(err, ErrRemoved) {
			t.Errorf("Use() = %v", err)
		}
		select {
		case <-c.Gone():
		case <-time.After(5 * time.Second):
			t.Error("nobody tells")
		}
		if err := c.Use([]byte("123456"), proves); !errors.Is(err, ErrRemoved) {
			t.Errorf("afterwards Use() = %v", err)
		}
	})
	t.Run("own rule: a card waits for another program to let go of it", func(t *testing.T) {
		empty(t)
		defer v.Insert(t, 0, aCard(t, "Asha", nil))()
		one, two := wait(t), wait(t)
		inside, done := make(chan struct{}), make(chan error, 1)
		go func() {
			<-inside
			done <- two.Use([]byte("123456"), proves)
		}()
		err := one.Use([]byte("123456"), func(k crypto.Signer) error {
			close(inside)
			select {
			case err := <-done:
				t.Errorf("the other was let in: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			return proves(k)
		})
		if err := errors.Join(err, <-done); err != nil {
			t.Errorf("Use() = %v", err)
		}
	})
	t.Run("own rule: two cards in two slots", func(t *testing.T) {
		empty(t)
		defer v.Insert(t, 1, aCard(t, "Ben", nil))()
		if c := wait(t); c.About().Holder() != "Ben" {
			t.Errorf("it is %s's", c.About().Holder())
		}
		defer v.Insert(t, 0, aCard(t, "Asha", nil))()
		asks := &chooser{takes: 1}
		for deadline := time.Now().Add(10 * time.Second); len(asks.asked) < 2 && time.Now().Before(deadline); {
			c, err := Readers{Choose: asks}.Wait(t.Context(), func(Waiting) {})
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
		if len(asks.asked) != 2 || asks.asked[1].Holder() != "Ben" {
			t.Errorf("asked of %d cards", len(asks.asked))
		}
	})
}

package card

import (
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
)

func TestPCSCD(t *testing.T) {
	v := virtualreader.Start(t)
	t.Run("by its socket", func(t *testing.T) { testService(t, v, pcscd(v.Socket)) })
	t.Run("by its library", func(t *testing.T) {
		l := libraryAt(t, v)
		// As where pcscd speaks another version than ours.
		other, _ := fakePCSCD(t, version{Major: 5}, false)
		testService(t, v, spoken{other, func() (service, error) { return l, nil }})
	})
}

// libraryAt is pcscd's library, which looks for pcscd where it did at first.
func libraryAt(t *testing.T, v *virtualreader.Reader) service {
	t.Helper()
	place := filepath.Join(os.TempDir(), fmt.Sprintf("lanyard-pcscd-%d", os.Getpid()))
	t.Setenv("PCSCLITE_CSOCK_NAME", place)
	if err := os.Symlink(v.Socket, place); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(place) })
	l, err := pcsclite()
	if err != nil {
		t.Skipf("no library: %v", err)
	}
	return l
}

// testService holds a service to what a person at a desk may do with cards.
func testService(t *testing.T, v *virtualreader.Reader, s service) {
	// empty waits until pcscd has missed the cards of the test before.
	empty := func(t *testing.T) {
		t.Helper()
		var seen []reader
		for {
			now, err := s.Readers(t.Context(), seen)
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
		c, err := Readers{service: s}.Wait(t.Context(), func(Waiting) {})
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
				c, err := Readers{service: s}.Wait(t.Context(), func(w Waiting) {
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
	t.Run("own rule: another program that keeps a card in the middle is told of, and costs nothing", func(t *testing.T) {
		empty(t)
		inside := aCard(t, "Asha", nil)
		defer v.Insert(t, 0, inside)()
		one, two := wait(t), wait(t)
		err := one.Use([]byte("123456"), func(k crypto.Signer) error {
			if err := two.Use([]byte("111111"), proves); !errors.Is(err, ErrBusy) || inside.TriesLeft() != 3 {
				t.Errorf("meanwhile Use() = %v, tries left %d", err, inside.TriesLeft())
			}
			return proves(k)
		})
		if err != nil {
			t.Errorf("Use() = %v", err)
		}
		if err := two.Use([]byte("123456"), proves); err != nil {
			t.Errorf("afterwards Use() = %v", err)
		}
		// Who had to wait and gave up keeps nobody out afterwards.
		_ = one.Use([]byte("123456"), func(crypto.Signer) error {
			_ = two.Use([]byte("123456"), proves)
			return two.Close()
		})
		if err := one.Use([]byte("123456"), proves); err != nil {
			t.Errorf("after one gave up, Use() = %v", err)
		}
	})
	t.Run("own rule: a card that another program has to itself is waited for", func(t *testing.T) {
		empty(t)
		defer v.Insert(t, 0, aCard(t, "Asha", nil))()
		_ = wait(t).Close() // it is there
		letGo := keeps(t, v)
		waits, found := make(chan Waiting, 10), make(chan Card, 1)
		go func() {
			c, err := Readers{service: s}.Wait(t.Context(), func(w Waiting) { waits <- w })
			if err != nil {
				t.Error(err)
			}
			found <- c
		}()
		if w := <-waits; w != ForRelease {
			t.Errorf("waits for %s", w)
		}
		letGo()
		_ = (<-found).Close()
	})
	t.Run("own rule: a card that lies upside down is said to, and the right one goes on", func(t *testing.T) {
		empty(t)
		takeOut := v.Insert(t, 0, aCard(t, "Asha", func(c *virtualcard.Config) { c.ATR = []byte{0} }))
		defer takeOut()
		waits, found := make(chan Waiting, 10), make(chan Card, 1)
		go func() {
			c, err := Readers{service: s, Poll: true}.Wait(t.Context(), func(w Waiting) { waits <- w })
			if err != nil {
				t.Error(err)
			}
			found <- c
		}()
		for w := range waits {
			if w == ForReadable {
				break
			}
		}
		takeOut()
		defer v.Insert(t, 0, aCard(t, "Asha", nil))()
		_ = (<-found).Close()
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
			c, err := Readers{service: s, Choose: asks}.Wait(t.Context(), func(Waiting) {})
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

// keeps keeps the card in the first reader from everybody else, as a program
// may that is alone with its cards.
func keeps(t *testing.T, v *virtualreader.Reader) (letGo func()) {
	t.Helper()
	s, err := pcscd(v.Socket).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := establishing{Scope: scopeSystem}
	if err := s.call(cmdEstablish, &e, answerTime); err != nil || e.Outcome != 0 {
		t.Fatal(err, e.Outcome)
	}
	const alone = 1
	c := connecting{Context: e.Context, Share: alone, Offered: bothT}
	copy(c.Reader[:], "Virtual PCD 00 00")
	if err := s.call(cmdConnect, &c, answerTime); err != nil || c.Outcome != 0 {
		t.Fatal(err, c.Outcome)
	}
	return func() { _ = s.conn.Close() }
}

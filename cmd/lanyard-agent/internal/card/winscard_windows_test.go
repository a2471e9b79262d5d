package card

import (
	"context"
	"crypto"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// insert puts a card into the reader of the winscard.dll for tests, which knows
// its port by name.
func insert(t *testing.T, inside *virtualcard.Card) (takeOut func()) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if conn, err := l.Accept(); err == nil {
			_ = l.Close() // one reader has one card
			_ = inside.Insert(ctx, conn)
		}
	}()
	if err := os.Setenv("LANYARD_TEST_READER", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)); err != nil {
		t.Fatal(err)
	}
	takeOut = sync.OnceFunc(func() { _ = l.Close(); cancel(); <-ended })
	t.Cleanup(takeOut)
	return takeOut
}

// TestWinscardDLL has the system's winscard.dll lend a card, where it is the one
// for tests. Its reader must not have a card of somebody's.
func TestWinscardDLL(t *testing.T) {
	if _, there := os.LookupEnv("LANYARD_TEST_READER"); !there {
		t.Skip("the winscard.dll of this system is not the one for tests (make test-wine)")
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
		t.Run("own rule: winscard.dll lends a card: "+name, func(t *testing.T) {
			inside := ofKind(t, tt.kind, "Dr Asha Smith", func(c *virtualcard.Config) { c.ATR = tt.atr })
			var told []Waiting
			found := make(chan Card, 1)
			waits := make(chan struct{})
			go func() {
				c, err := Readers{}.Wait(t.Context(), func(w Waiting) {
					told = append(told, w)
					close(waits)
				})
				if err != nil {
					t.Error(err)
				}
				found <- c
			}()
			<-waits
			defer insert(t, inside)()
			c := <-found
			if c == nil {
				return
			}
			defer func() { _ = c.Close() }()
			if len(told) != 1 || told[0] != ForCard {
				t.Errorf("told %v", told)
			}
			if a := c.About(); a.GUID != inside.GUID() || a.ATR != inside.ATR() || a.TriesLeft != 3 || a.Reader != "Test Reader 0" {
				t.Errorf("About() = %+v", a)
			}
			if err := c.Use([]byte("111111"), proves); !errors.Is(err, PINError{2}) {
				t.Errorf("a wrong passcode: %v", err)
			}
			if err := c.Use([]byte("123456"), proves); err != nil {
				t.Errorf("the right one: %v", err)
			}
		})
	}
	t.Run("own rule: winscard.dll tells that a card was taken out, and it signs nothing", func(t *testing.T) {
		takeOut := insert(t, aCard(t, "Asha", nil))
		c, err := Readers{Poll: true}.Wait(t.Context(), func(Waiting) {})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		err = c.Use([]byte("123456"), func(k crypto.Signer) error {
			takeOut()
			return proves(k)
		})
		if !errors.Is(err, ErrRemoved) {
			t.Errorf("Use() = %v", err)
		}
		select {
		case <-c.Gone():
		case <-time.After(10 * time.Second):
			t.Error("nobody tells")
		}
	})
	t.Run("own rule: another program that was let into the card is let out when we end", func(t *testing.T) {
		insert(t, aCard(t, "Asha", nil))
		c, err := Readers{}.Wait(t.Context(), func(Waiting) {})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		s, err := system()
		if err != nil {
			t.Fatal(err)
		}
		other, err := s.Connect(t.Context(), "Test Reader 0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		if err := errors.Join(other.Begin(), selectPIV(other), verify(other, []byte("123456")), other.End(false)); err != nil {
			t.Fatal(err)
		}
		if err := c.Use([]byte("123456"), proves); err != nil {
			t.Errorf("Use() = %v", err)
		}
		if err := errors.Join(other.Begin(), selectPIV(other)); err != nil {
			t.Fatal(err)
		}
		if _, sw, err := exchange(other, insVerify, 0, passcodeID, nil, false); err != nil || sw != 0x63C3 {
			t.Errorf("another program finds %v, %v", sw, err)
		}
	})
	t.Run("own rule: a wait for winscard.dll ends with who waits", func(t *testing.T) {
		s, err := system()
		if err != nil {
			t.Fatal(err)
		}
		seen, err := s.Readers(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		before := time.Now()
		if _, err := s.Readers(ctx, seen); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) > cancelTime {
			t.Errorf("Readers() = %v after %v", err, time.Since(before))
		}
	})
}

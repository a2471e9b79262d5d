package virtualcard_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

func aConfig(t *testing.T) virtualcard.Config {
	t.Helper()
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return virtualcard.Config{Key: key, Certificate: c, GUID: [16]byte{0xAB, 1}, Passcode: "123456", PUK: "12345678"}
}

func aCard(t *testing.T, change func(*virtualcard.Config)) *virtualcard.Card {
	t.Helper()
	c := aConfig(t)
	if change != nil {
		change(&c)
	}
	card, err := virtualcard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func TestTries(t *testing.T) {
	t.Run("SP 800-73-4 part 2 §3.2.1: three wrong passcodes block", func(t *testing.T) {
		var told []int
		card := aCard(t, func(c *virtualcard.Config) {
			c.OnChange = func(is virtualcard.Config) { told = append(told, *is.TriesLeft) }
		})
		for _, left := range []int{2, 1, 0} {
			err := card.Verify("000000")
			var wrong virtualcard.PINError
			if !errors.As(err, &wrong) || wrong.TriesLeft != left || card.TriesLeft() != left {
				t.Fatalf("Verify() = %v, want %d left", err, left)
			}
			if errors.Is(err, virtualcard.ErrBlocked) != (left == 0) {
				t.Errorf("with %d left errors.Is(ErrBlocked) is wrong", left)
			}
		}
		for _, passcode := range []string{"123456", "000000"} {
			if err := card.Verify(passcode); err != virtualcard.ErrBlocked { //nolint:errorlint // the bare one: no try was made
				t.Errorf("Verify() = %v, want ErrBlocked", err)
			}
		}
		if !slices.Equal(told, []int{2, 1, 0}) {
			t.Errorf("told %v", told)
		}
	})
	t.Run("SP 800-73-4 part 2 §3.2.1: the right one sets the counter back", func(t *testing.T) {
		var told []int
		card := aCard(t, func(c *virtualcard.Config) {
			c.OnChange = func(is virtualcard.Config) { told = append(told, *is.TriesLeft) }
		})
		for _, passcode := range []string{"000000", "000000", "123456", "123456", "000000"} {
			_ = card.Verify(passcode) // the counter is what is looked at
		}
		if !slices.Equal(told, []int{2, 1, 3, 2}) || card.TriesLeft() != 2 {
			t.Errorf("told %v, left %d", told, card.TriesLeft())
		}
	})
	t.Run("own rule: the counter survives", func(t *testing.T) {
		card := aCard(t, func(c *virtualcard.Config) { c.TriesLeft = new(1) })
		if err := card.Verify("000000"); !errors.Is(err, virtualcard.ErrBlocked) {
			t.Errorf("Verify() = %v, want a blocked card", err)
		}
		if err := aCard(t, func(c *virtualcard.Config) { c.TriesLeft = new(0) }).Verify("123456"); !errors.Is(err, virtualcard.ErrBlocked) {
			t.Errorf("Verify() = %v, want ErrBlocked", err)
		}
	})
	t.Run("own rule: nothing but the passcode is right", func(t *testing.T) {
		for _, passcode := range []string{"", "12345", "1234567", "123456\xFF", "123456\xFF\xFF", "123456\x00", " 123456", "123456789"} {
			card := aCard(t, nil)
			if err := card.Verify(passcode); !errors.As(err, new(virtualcard.PINError)) || card.TriesLeft() != 2 {
				t.Errorf("Verify(%q) = %v", passcode, err)
			}
		}
	})
	t.Run("own rule: guesses at once count one by one", func(t *testing.T) {
		card := aCard(t, nil)
		var tried atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if errors.As(card.Verify("000000"), new(virtualcard.PINError)) {
					tried.Add(1)
				}
			})
		}
		wg.Wait()
		if tried.Load() != virtualcard.Tries || card.TriesLeft() != 0 {
			t.Errorf("%d tries were made, want %d", tried.Load(), virtualcard.Tries)
		}
	})
}

func TestUse(t *testing.T) {
	digest := sha256.Sum256([]byte("message"))
	for _, kind := range []virtualcard.KeyType{virtualcard.P256, virtualcard.P384, virtualcard.RSA2048} {
		t.Run("own rule: "+string(kind)+" signs after the passcode", func(t *testing.T) {
			key, err := virtualcard.GenerateKey(kind)
			if err != nil {
				t.Fatal(err)
			}
			template := &x509.Certificate{SerialNumber: big.NewInt(1)}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			card := aCard(t, func(c *virtualcard.Config) { c.Key, c.Certificate = key, cert })
			err = card.Use("123456", func(k crypto.Signer) error {
				_, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
				return err
			})
			if err != nil {
				t.Errorf("Use() = %v", err)
			}
		})
	}
	t.Run("own rule: no key without the passcode", func(t *testing.T) {
		err := aCard(t, nil).Use("000000", func(crypto.Signer) error {
			t.Error("the key was lent")
			return nil
		})
		if !errors.As(err, new(virtualcard.PINError)) {
			t.Errorf("Use() = %v, want PINError", err)
		}
	})
	t.Run("own rule: no signature after the reset", func(t *testing.T) {
		var kept crypto.Signer
		card := aCard(t, nil)
		if err := card.Use("123456", func(k crypto.Signer) error { kept = k; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, virtualcard.ErrReset) {
			t.Errorf("Sign() = %v, want ErrReset", err)
		}
	})
	t.Run("own rule: one transaction at a time", func(t *testing.T) {
		card, inside := aCard(t, nil), 0 // the race detector sees a second one inside
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				err := card.Use("123456", func(k crypto.Signer) error {
					inside++
					_, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
					return err
				})
				if err != nil {
					t.Errorf("Use() = %v", err)
				}
			})
		}
		wg.Wait()
		if inside != 20 {
			t.Errorf("%d transactions, want 20", inside)
		}
	})
	t.Run("own rule: digests only", func(t *testing.T) {
		err := aCard(t, nil).Use("123456", func(k crypto.Signer) error {
			if _, err := k.Sign(rand.Reader, digest[:], crypto.Hash(0)); err == nil {
				t.Error("signed what is no digest")
			}
			if _, err := k.Sign(rand.Reader, digest[:20], crypto.SHA256); err == nil {
				t.Error("signed half a digest")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("own rule: what was done with it is told", func(t *testing.T) {
		out := errors.New("out of paper")
		if err := aCard(t, nil).Use("123456", func(crypto.Signer) error { return out }); !errors.Is(err, out) {
			t.Errorf("Use() = %v", err)
		}
	})
}

func TestNew(t *testing.T) {
	for rule, change := range map[string]func(*virtualcard.Config){
		"a passcode of 5":            func(c *virtualcard.Config) { c.Passcode = "12345" },
		"a passcode of 9":            func(c *virtualcard.Config) { c.Passcode = "123456789" },
		"a passcode of letters":      func(c *virtualcard.Config) { c.Passcode = "passco" },
		"no PUK":                     func(c *virtualcard.Config) { c.PUK = "" },
		"no key":                     func(c *virtualcard.Config) { c.Key = nil },
		"another key's certificate":  func(c *virtualcard.Config) { c.Certificate = aConfig(t).Certificate },
		"more tries than a card has": func(c *virtualcard.Config) { c.TriesLeft = new(4) },
		"fewer tries than none":      func(c *virtualcard.Config) { c.TriesLeft = new(-1) },
	} {
		t.Run("own rule: no card with "+rule, func(t *testing.T) {
			c := aConfig(t)
			change(&c)
			if _, err := virtualcard.New(c); err == nil {
				t.Error("New() made a card")
			}
		})
	}
	if _, err := virtualcard.GenerateKey("P-521"); err == nil {
		t.Error("GenerateKey() made a key that no card has")
	}
}

func TestFace(t *testing.T) {
	card := aCard(t, nil)
	if got, want := card.GUID(), "AB01"+strings.Repeat("00", 14); got != want {
		t.Errorf("GUID() = %s, want %s", got, want)
	}
	t.Run("ISO 7816-3 §8.2.5: TCK makes T0 to TCK nought", func(t *testing.T) {
		sum := byte(0)
		for _, b := range virtualcard.DefaultATR()[1:] {
			sum ^= b
		}
		if sum != 0 || card.ATR() != "3B88014C414E5941524431"+card.ATR()[22:] {
			t.Errorf("ATR() = %s", card.ATR())
		}
	})
	t.Run("own rule: secrets do not print", func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		log.Info("card", "config", aConfig(t), "card", card)
		fmt.Fprintf(&out, "%v %+v %#v %s %d %v %#v", card, card, card, card, card, aConfig(t), aConfig(t))
		if s := out.String(); strings.Contains(s, "123456") {
			t.Error("a passcode or PUK was printed")
		}
	})
}

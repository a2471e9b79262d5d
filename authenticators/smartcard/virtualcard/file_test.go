package virtualcard_test

import (
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

func TestFile(t *testing.T) {
	t.Run("own rule: a card in a file knows its passcodes and tries when it is read again", func(t *testing.T) {
		raw, err := virtualcard.Write(aConfig(t))
		if err != nil {
			t.Fatal(err)
		}
		read := func() *virtualcard.Card {
			c, err := virtualcard.Read(raw, func(changed []byte) error { raw = changed; return nil })
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		says(t, read().Power(), selectPIV, change, changePUK, wrong)
		says(t, read().Power(), selectPIV, unblock)
		if left := read().TriesLeft(); left != 2 {
			t.Errorf("tries left: %d", left)
		}
		if got := says(t, read().Power(), selectPIV, unblockWrong); got != "63C1" {
			t.Errorf("of the PUK %s", got)
		}
		if err := read().Verify("654321"); err != nil {
			t.Errorf("Verify() = %v", err)
		}
	})
	t.Run("own rule: a file may say what a reader meets beside a card", func(t *testing.T) {
		c := aConfig(t)
		c.ATR, c.Profile = virtualcard.T0ATR(), virtualcard.Contactless
		raw, err := virtualcard.Write(c)
		if err != nil {
			t.Fatal(err)
		}
		card, err := virtualcard.Read(raw, nil)
		if err != nil || card.ATR() != "3B084C414E5941524431" {
			t.Fatalf("Read() = %v", err)
		}
		if got := says(t, card.Power(), "00 A4 04 00 05 A000000308", tries); got != "6982" {
			t.Errorf("of the passcode %s", got)
		}
	})
	t.Run("own rule: what is no card file is none, and nothing of it is repeated", func(t *testing.T) {
		raw, err := virtualcard.Write(aConfig(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"", strings.Replace(string(raw), `"tries_left"`, `"atr": "123456x", "tries_left"`, 1), "123456", strings.Replace(string(raw), "card 1", "card 2", 1), strings.Replace(string(raw), `"key": "`, `"key": "AAAA`, 1)} {
			if _, err := virtualcard.Read([]byte(text), nil); err == nil || strings.Contains(err.Error(), "123456") {
				t.Errorf("Read() = %v", err)
			}
		}
	})
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
)

func TestDoctorWithReader(t *testing.T) {
	v := virtualreader.Start(t)
	t.Setenv("PCSCLITE_CSOCK_NAME", v.Socket)
	inside := aVirtualCard(t, "Dr Asha Smith", 2)
	defer v.Insert(t, 0, inside)()
	look := func() string {
		e := examination{now: time.Now, cards: card.Examine}
		e.readers(t.Context())
		return e.says(t)
	}
	there, err := card.Readers{}.Wait(t.Context(), func(card.Waiting) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := there.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: the doctor reads the card in a reader, and tries no passcode", func(t *testing.T) {
		var got string
		for range 3 {
			got = look()
		}
		if !strings.Contains(got, "ok    card of Dr Asha Smith: tries left: 2\n") || inside.TriesLeft() != 2 {
			t.Errorf("it says\n%s", got)
		}
	})
}

// aVirtualCard is a card of somebody whose passcode was mistyped before.
func aVirtualCard(t *testing.T, holder string, tries int) *virtualcard.Card {
	t.Helper()
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		t.Fatal(err)
	}
	about := aCard(400, tries)
	about.Certificate.Subject.CommonName = holder
	c, err := virtualcard.New(virtualcard.Config{Key: key, Certificate: selfSigned(t, about.Certificate, key), Passcode: "123456", PUK: "12345678", TriesLeft: &tries})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

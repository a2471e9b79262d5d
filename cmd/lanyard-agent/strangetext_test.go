package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
)

func TestStrangeText(t *testing.T) {
	const strange = "Asha\nok    card: all is well\x1b[2J \u202egro"
	strangeIn := func(text string) bool {
		return strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) })
	}
	about := aCard(400, 3)
	about.Certificate.Subject.CommonName = strange
	cards := func(context.Context) ([]card.Seen, error) {
		return []card.Seen{{Reader: strange, Card: true, About: about}, {Reader: "B", Card: true, Problem: errors.New(strange)}}, nil
	}
	t.Run("own rule: nobody writes lines of the doctor's by a card or a reader", func(t *testing.T) {
		e := examination{now: func() time.Time { return noon }, cards: cards}
		e.readers(t.Context())
		var out bytes.Buffer
		if err := e.print(&out, false); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != len(e.findings) || strangeIn(out.String()) {
			t.Errorf("%d findings:\n%q", len(e.findings), out.String())
		}
	})
	t.Run("own rule: nor of the status, by a reader, or a service and its codes", func(t *testing.T) {
		here := seenHere{Agent: &report{Version: "1", Services: []string{strange}, Last: &ending{At: noon, outcome: outcome{Word: "refused", Code: strange}}},
			Readers: []seenReader{{Name: strange, Card: true}}}
		if text := here.text(); strings.Count(text, "\n") != 6 || strangeIn(text) {
			t.Errorf("%q", text)
		}
		here = seenHere{Problem: strange}
		if text := here.text(); strings.Count(text, "\n") != 1 || strangeIn(text) {
			t.Errorf("%q", text)
		}
	})
}

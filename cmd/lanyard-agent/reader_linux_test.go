package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

func TestSignInWithReader(t *testing.T) {
	v := virtualreader.Start(t)
	t.Setenv("PCSCLITE_CSOCK_NAME", v.Socket)
	s := startService(t)
	raw, err := os.ReadFile(string(s.cardFile(t, "555000000101")))
	if err != nil {
		t.Fatal(err)
	}
	inside, err := virtualcard.Read(raw, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Run("desk-auth/1: a card in a reader, passcode and the way back to this browser sign in", func(t *testing.T) {
		b, p := newBrowser(t), &typist{passcodes: []string{"654321", "123456"}}
		link, waiting := b.begins(s)
		ended := make(chan error, 1)
		go func() { ended <- s.agent(card.Readers{}, p).SignIn(t.Context(), link) }()
		takeOut := v.Insert(t, 0, inside)
		b.returns(waiting)
		if !strings.Contains(b.page, "Dr Asha Smith") || b.at.Path != "/account" {
			t.Errorf("at %s: %s", b.at, b.page)
		}
		if err := <-ended; err != nil {
			t.Errorf("SignIn() = %v", err)
		}
		if len(p.asked) != 2 || p.asked[1].Wrong == "" || p.asked[1].TriesLeft != 2 {
			t.Errorf("asked %+v", p.asked)
		}
		// Nothing hangs on the card any more.
		takeOut()
		if b.open(s.issuer + "/account"); !strings.Contains(b.page, "Dr Asha Smith") {
			t.Errorf("after the card was taken out: %s", b.page)
		}
	})
	t.Run("desk-auth/1: a card that is taken out while its passcode is asked for is put back to carry on, and the page says so", func(t *testing.T) {
		b, p := newBrowser(t), &typist{passcodes: []string{"123456"}}
		link, waiting := b.begins(s)
		takeOut := v.Insert(t, 0, inside)
		asked := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- s.agent(card.Readers{}, &hasty{typist: p, takes: takeOut, asked: asked}).SignIn(t.Context(), link)
		}()
		<-asked
		b.until(waiting, "CRD-05")
		v.Insert(t, 0, inside)
		b.returns(waiting)
		if !strings.Contains(b.page, "Dr Asha Smith") {
			t.Errorf("the page: %s", b.page)
		}
		if err := <-ended; err != nil {
			t.Errorf("SignIn() = %v", err)
		}
	})
}

// hasty is somebody who takes the card out in place of typing, once.
type hasty struct {
	*typist
	takes func()
	asked chan struct{}
	done  bool
}

func (h *hasty) Ask(ctx context.Context, q prompt.Question) ([]byte, error) {
	if h.done {
		return h.typist.Ask(ctx, q)
	}
	h.done = true
	close(h.asked)
	h.takes()
	<-ctx.Done()
	return nil, ctx.Err()
}
